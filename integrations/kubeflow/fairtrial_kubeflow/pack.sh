# Put into the component as it is. Words: model, where to, the document, and further options of `fairtrial pack`.
set -eu
model=$1 to=$2 document=$3 options=$4
set -f # options are divided by blanks, and are no patterns
mkdir -p "$(dirname "$document")"
fairtrial pack "$model" --push "$to" --output json $options >"$document"
cat "$document"
