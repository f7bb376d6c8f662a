# What all plots share. Called with kind (svg, png, dumb), out, data and lib set.
# The colours are those of Okabe and Ito, which colour-blind readers can tell apart; the order is
# that of the chapters, so that a chapter has its colour in every plot. Points differ too.

# Letters are large enough for the last row of a room; a plot with much to say asks for smaller ones.
if (!exists("letters")) letters = "21"
if (kind eq "svg")  set terminal svg size 1200,675 font "Helvetica,Arial,sans-serif,".letters background "white" dynamic
if (kind eq "png")  set terminal pngcairo size 1280,720 font "sans,".letters background "white" fontscale 0.8
if (kind eq "dumb") set terminal dumb 79 22
if (kind ne "dumb") set output out

set datafile separator "\t"
set datafile commentschars "#"
set encoding utf8
set border 3
set tics nomirror out
set key top left Left reverse samplen 2 spacing 1.1
if (kind ne "dumb") {
    set grid ytics linetype 1 dashtype solid linecolor rgb "#dddddd" linewidth 1
    set lmargin 12
}

colour(server) = server eq "01" ? 0xD55E00 : \
                 server eq "04" ? 0x0072B2 : \
                 server eq "05" ? 0x009E73 : \
                 server eq "accept" || server eq "reuseport" ? 0x000000 : \
                 server eq "apache" || server eq "xinetd" || server eq "socat" ? 0x777777 : 0xCC79A7
# Bars are lighter from one to the next, so that they differ on grey paper.
density(i)     = i == 1 ? 0.95 : i == 2 ? 0.75 : 0.45
point(server)  = server eq "01" ? 7 : server eq "04" ? 5 : server eq "05" ? 9 : 11

# The N-th name in "first|second|third".
name(list, n) = n == 1 ? (strstrt(list, "|") ? list[1:strstrt(list, "|") - 1] : list) \
                       : name(list[strstrt(list, "|") + 1:strlen(list)], n - 1)
