# Put into the component as it is. Words: experiment, data's name, what ROLLBACK and INCONCLUSIVE do to the step,
# the outputs (verdict, document, report, summary), further options of `fairtrial run`; then --data, --baseline and
# --candidate, each with the path of an artifact.
set -u
text=$1 data_name=$2 on_rollback=$3 on_inconclusive=$4 verdict=$5 document=$6 report=$7 summary=$8 options=$9
shift 9
set -f # options are divided by blanks, and are no patterns
trial=$(mktemp -d)
mkdir "$trial/models"
while [ $# -gt 0 ]; do
    case $1 in
        --data) ln -s "$2" "$trial/$data_name" ;;
        # The artifact of a step before this one stands where the experiment file says models/baseline.
        --baseline) ln -s "$2" "$trial/models/baseline" ;;
        --candidate) ln -s "$2" "$trial/models/candidate" ;;
    esac
    shift 2
done
printf '%s\n' "$text" >"$trial/experiment.yaml"
for output in "$verdict" "$document" "$report" "$summary"; do mkdir -p "$(dirname "$output")"; done

fairtrial run "$trial/experiment.yaml" --runs-dir "$trial/runs" --summary "$summary" --output json $options >"$document"
code=$?
cat "$summary"
set +f
cp "$trial"/runs/*/report.html "$report" || printf 'There is no report.\n' >"$report"
case $code in
    0) said=PROMOTE ends=0 ;;
    10) said=ROLLBACK ends=$on_rollback ;;
    11) said=INCONCLUSIVE ends=$on_inconclusive ;;
    *) exit "$code" ;;
esac
printf %s "$said" >"$verdict"
[ "$ends" = fail ] && exit "$code"
exit 0
