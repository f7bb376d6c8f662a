# A few things as bars, side by side for each place where they were measured; from zero.
count = strstrt(places, "|") ? 2 : 1
set style fill solid 0.9 border -1
ranges = kind eq "dumb" ? 0 : count # no room for them in characters
set boxwidth 0.8 / count
set yrange [0:*]
set key above
set pointintervalbox 0 # no white spots where the ranges cross the bars
stats data every ::1 using 2 nooutput
set xrange [-0.6 : STATS_records - 0.4]
set ylabel "µs"
set xtics scale 0
set title title
if (kind eq "dumb") { unset ylabel; set title title.", µs"; set style fill empty }
place(i) = (i - (count + 1) / 2.0) * 0.8 / count
plot for [i = 1:count] data every ::1 using ($0 + place(i)):(column(3 * i - 1)) with boxes \
         linecolor rgb (i == 1 ? 0x0072B2 : 0xE69F00) title "both processes on ".name(places, i), \
     data every ::1 using ($0):(0):xticlabels(1) with points pointtype -1 title "", \
     for [i = 1:ranges] data every ::1 using ($0 + place(i)):(column(3 * i - 1)):(column(3 * i)):(column(3 * i + 1)) \
         with yerrorbars pointtype -1 linewidth 2 linecolor rgb "black" title "", \
     for [i = 1:count] data every ::1 using ($0 + place(i)):(column(3 * i + 1)):(sprintf("%.0f", column(3 * i - 1))) \
         with labels offset 0,0.7 title ""
