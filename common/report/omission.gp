# Latency by percentile of a server that stood still for a while, as both loops saw it. The x axis
# stretches towards 100 %, where the slow connections are: each step is ten times rarer.
x(percent) = -log10(1 - percent / 100.0)

set logscale y
set yrange [0.7 * low : 2.5 * high]
set xrange [0:4.15]
set xtics ("50" x(50), "90" x(90), "99" x(99), "99.9" x(99.9), "99.99" x(99.99))
set ytics ("0.01" 10, "0.1" 100, "1" 1000, "10" 10000, "100" 100000, "1000" 1e6)
set title sprintf("%s connections/s, stopped for %.0f ms: what each loop reports", rate, stop / 1000)
set xlabel "% of the connections, slower to the right"
set ylabel "latency in ms, log scale"
set arrow from graph 0, first stop to graph 1, first stop nohead linewidth 2 dashtype solid linecolor rgb "#bbbbbb"
set label sprintf("%.0f ms", stop / 1000) at graph 0.01, first stop offset 0,0.6 textcolor rgb "#666666"
set label "open loop: who came during the stop\nhas waited, and is counted" at x(96.5), first stop / 5 \
    textcolor rgb ink(2)
set label "closed loop: its clients stood still as well,\nand nobody else was asked" at x(92), first 2.3 * low \
    textcolor rgb ink(1)
unset key
plot data every ::1 using (x($1)):3 with lines linewidth 4 linecolor rgb ink(2) title "open loop", \
     data every ::1 using (x($1)):2 with lines linewidth 4 dashtype 2 linecolor rgb ink(1) title "closed loop"
