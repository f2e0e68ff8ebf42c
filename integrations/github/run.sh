#!/usr/bin/env bash
# The trial. Its exit code is an output: the job ends with it after report and comment are where they belong.
set -uo pipefail
folder=$PWD/fairtrial-results
mkdir -p "$folder"
read -ra arguments <<<"$ARGUMENTS"
# "${a[@]+...}": bash before 4.4, as macOS has it, takes an empty array for an unset one.
uvx --python "$PYTHON_VERSION" --from "$REQUIREMENT" fairtrial run "$EXPERIMENT" \
    --runs-dir "$folder/runs" --junit "$folder/junit.xml" --summary "$folder/summary.md" \
    --output json ${arguments[@]+"${arguments[@]}"} >"$folder/verdict.json"
code=$?
# A field of the document, which `--output json` prints with one field a line.
field() { sed -n "s/^  \"$1\": \"\(.*\)\",\{0,1\}\$/\1/p" "$folder/verdict.json" | head -n 1; }
{
    echo "exit-code=$code"
    echo "verdict=$(field verdict)"
    echo "run=$(field run)"
    echo "folder=$folder"
    echo "junit=$folder/junit.xml"
    echo "summary=$folder/summary.md"
} >>"$GITHUB_OUTPUT"
# Without one, not even the command could be installed.
if [[ -f $folder/summary.md ]]; then cat "$folder/summary.md" >>"$GITHUB_STEP_SUMMARY"; fi
exit 0
