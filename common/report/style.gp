# What all plots share. Called with kind (svg, png), out, data and lib set.
# How a server is drawn, its colour, point, dash and density, and the other colours, ink(n), come from style.py.

# As wide as a slide, and its letters large enough for the last row of a room (20 px of 720 on a slide, which
# tests/slides.py holds); a picture with more rows is higher, and asks for larger ones.
if (!exists("letters")) letters = "21"
if (!exists("height")) height = 530
if (kind eq "svg")  set terminal svg size 1200,height font "Helvetica,Arial,sans-serif,".letters background "white" dynamic
if (kind eq "png")  set terminal pngcairo size 1280,height*16/15 font "sans,".letters background "white" fontscale 0.8
set output out

set datafile separator "\t"
set datafile commentschars "#"
set encoding utf8
set border 3
set tics nomirror out
set key top left Left reverse samplen 2 spacing 1.1 noenhanced
# The curves of many servers leave no room for a key among them: it stands above, and whatever else is there shrinks.
many = exists("servers") ? words(servers) > 4 : 0
if (many) { set key above vertical maxrows 2 samplen 3 spacing 1 width -1 }
set pointintervalbox 0.7
set grid ytics linetype 1 dashtype solid linecolor rgb "#dddddd" linewidth 1
set lmargin 12

# The N-th name in "first|second|third".
name(list, n) = n == 1 ? (strstrt(list, "|") ? list[1:strstrt(list, "|") - 1] : list) \
                       : name(list[strstrt(list, "|") + 1:strlen(list)], n - 1)
