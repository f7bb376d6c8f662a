# The server's CPU time per connection as bars, with the range of the rounds; from zero.
count = words(servers)
set style data boxes
set errorbars linecolor rgb "black" linewidth 2
set boxwidth 0.8 / count
set yrange [0:*]
set key above vertical maxrows 2 width -1
set xrange [-0.6 : words(clients) - 0.4]
set xtics () scale 0
set for [i = 1:words(clients)] xtics add (word(clients, i).(word(clients, i) eq "1" ? " client" : " clients") i - 1)
set title "CPU time of the server and all its processes"
set ylabel "server CPU, µs per connection"

cpu(i) = 4 + 5 * (i - 1)
# Many bars are narrower than their numbers.
upright = many ? "rotate by 90 left offset 0,0.3" : "offset 0,0.7"
place(i) = (i - (count + 1) / 2.0) * 0.8 / count
plot for [i = 1:count] data every ::1 \
         using ($0 + place(i)):(column(cpu(i))):(column(cpu(i) + 1)):(column(cpu(i) + 2)):(0.8 / count) \
         with boxerrorbars fillstyle solid density(word(servers, i)) border -1 linecolor rgb colour(word(servers, i)) title name(titles, i), \
     for [i = 1:count] data every ::1 using ($0 + place(i)):(column(cpu(i) + 2)):(sprintf("%.0f", column(cpu(i)))) \
         with labels @upright title ""
