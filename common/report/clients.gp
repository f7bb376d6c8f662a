# Latency against the number of clients: the median as a line, the 99th percentile above it.
count = words(servers)
set logscale xy
set xtics ()
set for [n in clients] xtics add (n n)
set xrange [0.8 * word(clients, 1) : 1.25 * word(clients, words(clients))]
set yrange [0.6 * low : 4 * high]
set title "Latency of a 64-byte echo against the number of clients"
set xlabel "clients, each with one connection at a time (log scale)"
set ylabel "latency in µs, log scale"
if (kind eq "dumb") { unset xlabel; unset ylabel; set title "latency p50 in µs against clients (both axes log)" }

median(i) = 2 + 5 * (i - 1)
plot for [i = 1:count] data every ::1 using 1:(column(median(i))) with linespoints linewidth 3 \
         pointtype point(word(servers, i)) pointsize 1.3 linecolor rgb colour(word(servers, i)) \
         title name(titles, i).", p50", \
     for [i = 1:(kind eq "dumb" ? 0 : count)] data every ::1 using 1:(column(median(i) + 1)) with linespoints linewidth 2 dashtype 3 \
         pointtype point(word(servers, i)) pointsize 0.8 linecolor rgb colour(word(servers, i)) \
         title name(titles, i).", p99"
