# A small plot of the test's own, drawn in the style of all.
set title title
set xlabel "clients"
set ylabel "µs"
plot data every ::1 using 1:2 with linespoints linecolor rgb colour("01") title "first", \
     data every ::1 using 1:3 with linespoints linecolor rgb colour("04") title "second"
