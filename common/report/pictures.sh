#!/bin/sh
# pictures.sh: measures everything and puts the plots where the READMEs show them.
set -eu

results=${BUILD:-build}/results
common/report/compare.py
for plot in percentiles clients cpu; do
    cp "$results/compare-$plot.svg" "chapters/compare-$plot.svg"
done
common/report/timeline.py
cp "$results/timeline.svg" chapters/timeline.svg
for chapter in chapters/[0-9]*; do
    number=${chapter#chapters/}
    number=${number%%-*}
    common/report/time-chapter.py "$number"
    case $number in
    04) plot="chapter-04-percentiles" ;;
    05) plot="chapter-05-cpu" ;;
    *) plot=chapter-$number ;;
    esac
    cp "$results/$plot.svg" "$chapter/timing.svg"
done
