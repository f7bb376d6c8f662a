# What happened to some connections: a panel for each server, in it a row for each process, time to the right.
# Pale and low is what is under way to a process, or after its end; a line is a process that waits.

panels = words(servers)
forks(panel) = word(forking, panel) eq "1"
gap = panels == 1 ? 0.9 : 1.55  # rows, above each panel, for its title
full = panels == 1 ? 0.56 : 0.76 # height of a bar, of a row
y(panel, row) = -(panel * (processes + 1 + gap) + row)

# A process that is forked, and a hand-over, have the colours of the first designs that do so.
full_colour(kind) = strstrt(kind, "fork") == 1 ? ink(1) : strstrt(kind, "hand-over") == 1 ? ink(2) : kind eq "echo" ? ink(3) : \
                    kind eq "close" ? ink(4) : strstrt(kind, "exit") == 1 ? ink(5) : kind eq "accept" ? ink(7) : \
                    kind eq "waits" ? 0xAAAAAA : 0xCCCCCC
# Halfway to white.
pale(c) = 0x7F7F7F + (int(c) & 0xFEFEFE) / 2
colour_of(kind) = kind ne "under way" && strstrt(kind, "under way") ? pale(full_colour(kind)) : full_colour(kind)
height_of(kind) = kind eq "waits" ? 0.06 : strstrt(kind, "under way") ? 0.5 : 1

set border 1
unset grid
unset key
set tmargin 0.8
set bmargin 4.3
set rmargin 3
set xrange [0:last / 1e3]
set yrange [y(panels - 1, processes + 0.6):y(0, -gap)]
set ytics () scale 0
do for [panel = 1:panels] {
    set for [row = 1:processes] ytics add ((forks(panel) ? "a child" : "worker ".row) y(panel - 1, row))
    set ytics add (name(firsts, panel) y(panel - 1, 0))
    # (The spaces behind a change of font are of the kind that no SVG viewer leaves out.)
    set label sprintf("{/*1.3:Bold %s ms}  {/:Bold %s:} %s", word(lengths, panel), name(titles, panel), name(hows, panel)) \
        at graph 0, first y(panel - 1, -1.05)
}
set xlabel sprintf("ms since the first of %d accepts (bold: until the last echo)", connections) offset 0,0.7

# The legend, of the kinds that there are; a key of gnuplot's would be too wide, and have all samples of one height.
width(kind) = 0.045 + 0.0112 * strlen(kind)
count = 1 + sum [i = 1:strlen(kinds)] (kinds[i:i] eq "|")
x = 0.51 - (sum [i = 1:count] width(name(kinds, i))) / 2
do for [i = 1:count] {
    each = name(kinds, i)
    set object rectangle center screen x, 0.034 size screen 0.024, screen 0.026 * height_of(each) \
        fillcolor rgb colour_of(each) fillstyle solid 1 noborder
    set label each at screen x + 0.018, 0.034
    x = x + width(each)
}

# The columns: panel, row, kind, begin and end in µs, connection, process, what.
begin(c) = column(4) / 1e3
end(c) = column(5) / 1e3
middle(c) = y(column(1), column(2))
half(c) = full * height_of(strcol(3)) / 2
below_master(c) = y(column(1), 0) - full / 2
layer(kind) = kind eq "waits" ? 1 : strstrt(kind, ",") ? 2 : 3

plot for [n = 1:3] data every ::1 using (layer(strcol(3)) == n ? begin(0) : NaN):(middle(0)):(begin(0)):(end(0)): \
         (middle(0) - half(0)):(middle(0) + half(0)):(colour_of(strcol(3))) \
         with boxxyerror linecolor rgb variable linewidth 0.7 fillstyle solid 1 border, \
     data every ::1 using (strcol(3) eq "hand-over, under way" ? begin(0) : NaN):(below_master(0)): \
         (end(0) - begin(0)):(middle(0) + full / 2 - below_master(0)) \
         with vectors head filled size screen 0.006,20 linecolor rgb "#777777", \
     for [n = 1:(panels == 1)] data every ::1 using (begin(0)):(strcol(8) eq "begins" ? middle(0) + full / 2 : NaN):6 \
         with labels left offset 0.3,0.6 font ",".letters
