# Latency against the number of clients: the median as a thick line, the 99th percentile as a thin one above it.
count = words(servers)
set logscale xy
set xtics ()
set for [n in clients] xtics add (n n)
set xrange [0.8 * word(clients, 1) : 1.25 * word(clients, words(clients))]
set yrange [0.6 * low : (many ? 1.3 : 4) * high]
set title "Latency of a 64-byte echo against the number of clients"
set xlabel "clients, each with one connection at a time (log scale)"
set ylabel "latency in µs, log scale: p50 thick, p99 thin"

median(i) = 2 + 5 * (i - 1)
plot for [i = 1:count] data every ::1 using 1:(column(median(i))) with linespoints linewidth 3.5 dashtype dash(word(servers, i)) \
         pointtype point(word(servers, i)) pointsize 1.5 pointinterval -1 linecolor rgb colour(word(servers, i)) \
         title name(titles, i), \
     for [i = 1:count] data every ::1 using 1:(column(median(i) + 1)) with linespoints linewidth 1 dashtype dash(word(servers, i)) \
         pointtype point(word(servers, i)) pointsize 0.7 linecolor rgb colour(word(servers, i)) \
         title ""
