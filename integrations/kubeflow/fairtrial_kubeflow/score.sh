# Put into the component as it is. Words: model, data, format, scored, and further options of `fairtrial score`.
set -eu
model=$1 data=$2 format=$3 scored=$4 options=$5
set -f # options are divided by blanks, and are no patterns
work=$(mktemp -d)
# What a file holds is told by its name, which an artifact's is not.
ln -s "$data" "$work/data.$format"
mkdir -p "$(dirname "$scored")"
fairtrial score "$model" "$work/data.$format" --out "$work/scored.$format" $options
mv "$work/scored.$format" "$scored"
