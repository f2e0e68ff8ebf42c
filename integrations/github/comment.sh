#!/usr/bin/env bash
# One comment for each experiment, found again by its first line and written anew. A fork's token may not write:
# that is a warning, since the verdict does not hang on it.
set -uo pipefail
[[ -f $SUMMARY ]] || exit 0
MARKER=$(head -n 1 "$SUMMARY")
export MARKER
comments=repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments
known=$(gh api --paginate "$comments" --jq '.[] | select(.body | startswith(env.MARKER)) | .id' | head -n 1)
if [[ -n $known ]]; then
    gh api --silent --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$known" --field "body=@$SUMMARY"
else
    gh api --silent --method POST "$comments" --field "body=@$SUMMARY"
fi || echo "::warning title=Fairtrial::the summary could not be written to the pull request (pull-requests: write?)"
