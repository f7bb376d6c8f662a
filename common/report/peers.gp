# Server CPU per connection of all designs, as points with the range of the rounds; a panel for each
# number of clients, on one log scale: on it the same step to the right is the same factor.
count = words(designs)
set logscale x
set xrange [0.75 * lowest : 2.2 * highest]
set yrange [count - 0.4 : -0.6]
set xtics (20, 50, 100, 200, 500, 1000, 2000, 5000)
set grid xtics ytics linetype 1 dashtype solid linecolor rgb "#dddddd" linewidth 1
set ytics scale 0
set ytics noenhanced
unset key
set errorbars small
set multiplot layout 1,words(clients) title "CPU time of a server for one connection" \
    margins 0.19,0.985,0.15,0.85 spacing 0.02
do for [p = 1:words(clients)] {
    set title word(clients, p).(word(clients, p) eq "1" ? " client" : " clients")
    if (p == 2) { set xlabel "µs, log scale: median and range of the rounds" } else { unset xlabel }
    set for [i = 1:count] ytics add ((p == 1 ? name(titles, i) : "") i - 1)
    plot for [i = 1:count] data every ::i::i using (column(3 * p - 1)):(i - 1):(column(3 * p)):(column(3 * p + 1)) \
             with xerrorbars linewidth 3 pointtype point(word(designs, i)) pointsize 1.2 linecolor rgb colour(word(designs, i)), \
         for [i = 1:count] data every ::i::i using (column(3 * p + 1)):(i - 1):(sprintf("%.0f", column(3 * p - 1))) \
             with labels left offset 0.8,0
}
unset multiplot
