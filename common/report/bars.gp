# A few things as bars, side by side for each place where they were measured; from zero.
count = strstrt(places, "|") ? 2 : 1
set style fill solid 0.9 border -1
set errorbars linecolor rgb "black" linewidth 2
set boxwidth 0.8 / count
set yrange [0:*]
set key above vertical maxrows 1 width 2
stats data every ::1 using 2 nooutput
set xrange [-0.6 : STATS_records - 0.4]
set ylabel "µs"
set xtics scale 0
set title title
place(i) = (i - (count + 1) / 2.0) * 0.8 / count
bar(i) = ink(i == 1 ? 2 : 5)
who(i) = "both processes on ".name(places, i)
plot for [i = 1:count] data every ::1 \
         using ($0 + place(i)):(column(3 * i - 1)):(column(3 * i)):(column(3 * i + 1)):(0.8 / count) \
         with boxerrorbars linecolor rgb bar(i) title who(i), \
     data every ::1 using ($0):(0):xticlabels(1) with points pointtype -1 title "", \
     for [i = 1:count] data every ::1 using ($0 + place(i)):(column(3 * i + 1)):(sprintf("%.0f", column(3 * i - 1))) \
         with labels offset 0,0.7 title ""
