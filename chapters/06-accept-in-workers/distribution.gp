# Who serves: for each way to wait a row of eight bars, one above the other, with a common measure.
count = words(servers)
set style data boxes
set boxwidth 0.8
set yrange [0:105]
set xrange [0.4:8.6]
set xtics 1,1,8 scale 0
set ytics (0, 80)
unset key
set multiplot layout count,1 title "80 connections, one after the other: who serves them?" offset 0,0.3 \
    margins 0.27,0.97,0.17,0.89 spacing 0.03
do for [p = 1:count] {
    if (p == count) { set xlabel "worker"; set format x "%g" } else { unset xlabel; set format x "" }
    set label 1 name(titles, p) at graph -0.075,0.5 right noenhanced
    plot for [i = 1:8] data every ::p::p using (i):(column(i + 1)) \
             with boxes fillstyle solid density(word(servers, p)) border -1 linecolor rgb colour(word(servers, p)), \
         for [i = 1:8] data every ::p::p using (i):(column(i + 1)):(sprintf("%d", column(i + 1))) \
             with labels offset 0,0.6
}
unset multiplot
