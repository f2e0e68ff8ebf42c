#!/usr/bin/env bash
# The job's colour: that of the exit code, but for INCONCLUSIVE (11), which is what the user has said.
if [[ $CODE == 11 && $INCONCLUSIVE != fail ]]; then
    echo "::warning title=Fairtrial::INCONCLUSIVE: the evidence does not settle it"
    exit 0
fi
exit "${CODE:-1}"
