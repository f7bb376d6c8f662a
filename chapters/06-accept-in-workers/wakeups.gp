# How many are woken for a connection, against the number of workers.
set logscale xy
set key above vertical maxrows 3 width -6
set title "How many are woken for one connection"
set xlabel "workers (log scale)"
set ylabel "wake-ups, log scale"
set xtics (1, 8, 32, 64)
set xrange [0.9:72]
set yrange [0.9:*]
set ytics (1, 2, 5, 10, 20, 50)
plot for [i = 1:words(servers)] data every ::1 using 1:(column(3 * i - 1)):(column(3 * i)):(column(3 * i + 1)) \
         with yerrorlines linewidth 3 pointtype point(word(servers, i)) pointsize 1.2 \
         dashtype dash(word(servers, i)) linecolor rgb colour(word(servers, i)) title name(titles, i)
