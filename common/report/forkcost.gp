# What fork costs against the memory of the parent.
set logscale xy
set title "A process per connection costs more as the server grows"
set xlabel "memory of the parent that is in use, MiB (log scale)"
set ylabel "fork, exit and wait: µs, log scale"
set xtics (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
set xrange [0.8:1300]
plot data every ::1 using 1:2:3:4 with yerrorlines linewidth 3 pointtype 7 pointsize 1.2 linecolor rgb ink(1) title "pages of 4 KiB", \
     data every ::1 using 1:5:6:7 with yerrorlines linewidth 3 pointtype 5 pointsize 1.2 linecolor rgb ink(2) title "pages of 2 MiB"
