# What all plots share. Called with kind (svg, png), out, data and lib set.
# How a server is drawn, its colour, point, dash and density, and the other colours, ink(n), come from style.py.

# Letters are large enough for the last row of a room; a plot with much to say asks for smaller ones.
if (!exists("letters")) letters = "21"
if (kind eq "svg")  set terminal svg size 1200,675 font "Helvetica,Arial,sans-serif,".letters background "white" dynamic
if (kind eq "png")  set terminal pngcairo size 1280,720 font "sans,".letters background "white" fontscale 0.8
set output out

set datafile separator "\t"
set datafile commentschars "#"
set encoding utf8
set border 3
set tics nomirror out
set key top left Left reverse samplen 2 spacing 1.1 noenhanced
# The curves of many servers leave no room for a key among them: it stands above, and whatever else is there shrinks.
many = exists("servers") ? words(servers) > 4 : 0
if (many) { set key above samplen 3 spacing 1 }
set pointintervalbox 0.7
set grid ytics linetype 1 dashtype solid linecolor rgb "#dddddd" linewidth 1
set lmargin 12

# The N-th name in "first|second|third".
name(list, n) = n == 1 ? (strstrt(list, "|") ? list[1:strstrt(list, "|") - 1] : list) \
                       : name(list[strstrt(list, "|") + 1:strlen(list)], n - 1)
