# Latency by percentile; a panel for the fewest clients and one for the most, on one scale. The x
# axis stretches towards 100 %, where the slow connections are: each step is ten times rarer.
count = words(servers)
last = words(clients)
x(percent) = -log10(1 - percent / 100.0)
shown(p) = p == 1 ? 1 : last

set logscale y
set yrange [0.7 * low : 1.5 * high]
set xtics ("50" x(50), "90" x(90), "99" x(99), "99.9" x(99.9), "99.99" x(99.99))
set xrange [0:4.15]

set xlabel "% of the connections"
set multiplot layout 1,2 title "Latency of a 64-byte echo, by percentile: slower to the right" offset 0,0.3 \
    margins 0.13,0.97,0.21,(many ? 0.70 : 0.75) spacing 0.03
set title offset 0,-0.6
set key at screen 0.55,0.915 center top vertical maxrows (many ? 2 : 1) samplen 3 width -1
do for [p = 1:2] {
    set title word(clients, shown(p)).(word(clients, shown(p)) eq "1" ? " client" : " clients")
    if (p == 1) { set ylabel "latency in µs, log scale" } else { unset ylabel; set format y ""; unset key }
    # The points of a curve are few, and not where those of the next one are.
    plot for [i = 1:count] data every ::1 using (x($1)):(column(1 + (shown(p) - 1) * count + i)) \
             with lines linewidth 3.5 dashtype dash(word(servers, i)) linecolor rgb colour(word(servers, i)) title "", \
         for [i = 1:count] data every 11::(20 + 3 * i) using (x($1)):(column(1 + (shown(p) - 1) * count + i)) \
             with points pointtype point(word(servers, i)) pointsize 1.3 linecolor rgb colour(word(servers, i)) title "", \
         for [i = 1:count] NaN with linespoints linewidth 3.5 dashtype dash(word(servers, i)) pointtype point(word(servers, i)) \
             pointsize 1.3 linecolor rgb colour(word(servers, i)) title name(titles, i)
}
unset multiplot
