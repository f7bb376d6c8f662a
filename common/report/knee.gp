# Latency against the rate at which connections come: the median as a thick line, the 99th percentile as a thin one.
# Where a server falls behind, its knee, stands a line.
count = words(servers)
set logscale y
set xrange [0 : 1.02 * highest]
set yrange [0.1 * low : 1.5 * high] # with room for the key
set ytics ("0.01" 10, "0.1" 100, "1" 1000, "10" 10000, "100" 100000, "1000" 1e6, "10000" 1e7)
knee(i) = real(word(knees, i))
file(i) = data."-".word(servers, i).".tsv"
set title "Where does each server fall behind? Latency of a 64-byte echo against the rate"
set xlabel "connections that come in a second, whether earlier ones are served or not"
set ylabel "latency in ms, log scale: p50 thick, p99 thin"
if (!many) { set key bottom right opaque }
do for [i = 1:count] {
    set arrow from first knee(i), graph 0 to first knee(i), graph 1 nohead back linewidth 2 dashtype dash(word(servers, i)) linecolor rgb colour(word(servers, i))
}
plot for [i = 1:count] file(i) every ::1 using 1:2 with linespoints linewidth 3.5 dashtype dash(word(servers, i)) \
         pointtype point(word(servers, i)) pointsize 1.5 pointinterval -1 linecolor rgb colour(word(servers, i)) \
         title name(titles, i).sprintf(", knee %.0f/s", knee(i)), \
     for [i = 1:count] file(i) every ::1 using 1:3 with linespoints linewidth 1 dashtype dash(word(servers, i)) \
         pointtype point(word(servers, i)) pointsize 0.7 linecolor rgb colour(word(servers, i)) title ""
