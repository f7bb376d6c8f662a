# What a connection costs against something that grows: median and range of the rounds.
count = words(servers)
has(c) = strstrt(log, c) > 0
if (has("x")) { set logscale x }
if (has("y")) { set logscale y }
if (has("x")) { set xrange [0.8 * word(points, 1) : 1.25 * word(points, words(points))] } \
else { set xrange [-0.02 * word(points, words(points)) : 1.03 * word(points, words(points))] }
if (has("y")) { set yrange [0.6 * low : (many ? 1.3 : 4) * high] } else { set yrange [0 : (many ? 1.1 : 1.5) * high] }
set xtics () 
set for [i = 1:words(points)] xtics add (name(point_names, i) word(points, i))
set title title
set xlabel label
set ylabel "server CPU, µs per connection".(has("y") ? ", log scale" : "")
set errorbars small
plot for [i = 1:count] data every ::1 using 1:(column(3 * i - 1)):(column(3 * i)):(column(3 * i + 1)) with yerrorlines \
         linewidth 3 dashtype dash(word(servers, i)) pointtype point(word(servers, i)) pointsize 1.5 linecolor rgb colour(word(servers, i)) \
         title name(titles, i)
