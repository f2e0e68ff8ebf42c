{{- define "pipeline.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* Of the StatefulSet, too, whose name is part of a label that has 63 characters at most. */}}
{{- define "pipeline.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "pipeline.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "pipeline.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "pipeline.selector" -}}
app.kubernetes.io/name: {{ include "pipeline.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pipeline.labels" -}}
{{ include "pipeline.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "pipeline.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "pipeline.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "pipeline.image" -}}
{{- $name := .Values.image.repository -}}
{{- if .Values.image.registry }}{{ $name = printf "%s/%s" .Values.image.registry $name }}{{ end -}}
{{- if .Values.image.digest -}}
{{ printf "%s@%s" $name .Values.image.digest }}
{{- else -}}
{{ printf "%s:%s" $name (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/*
What the pipeline file says that concerns the cluster, as JSON: name, experiment, namespace, route, and with a listener
its port and the variable of its token. Everything else in the file `fairtrial watch` checks when it starts.
*/}}
{{- define "pipeline.file" -}}
{{- if not .Values.pipeline }}
{{- fail "say which pipeline: --set-file pipeline=pipeline.yaml" }}
{{- end }}
{{- if not .Values.experiment }}
{{- fail "say which trial a version is put to: --set-file experiment=experiment.yaml" }}
{{- end }}
{{- $file := fromYaml .Values.pipeline }}
{{- if hasKey $file "Error" }}
{{- fail (printf "the pipeline is no YAML: %s" $file.Error) }}
{{- end }}
{{- if ne (toString $file.kind) "Pipeline" }}
{{- fail (printf "the pipeline is of kind %v, where Pipeline is expected; were the files taken for each other?" (default "none" $file.kind)) }}
{{- end }}
{{- if not (kindIs "map" $file.spec) }}
{{- fail "the pipeline has no spec; `fairtrial validate pipeline.yaml` tells what a pipeline needs" }}
{{- end }}
{{- $serve := $file.spec.serve }}
{{- if not (and (kindIs "map" $serve) (kindIs "map" (get (default dict $serve) "kubernetes")) (not (get (default dict $serve) "local"))) }}
{{- fail "the pipeline serves on the machine that it runs on, and in a pod nobody would reach that: say spec.serve: {kubernetes: {}}, and nothing of local" }}
{{- end }}
{{- $cluster := $serve.kubernetes }}
{{- if or $cluster.kubeconfig $cluster.context }}
{{- fail "the pipeline names a kubeconfig or a context, which a pod does not have: remove spec.serve.kubernetes.kubeconfig and .context, and its ServiceAccount is used" }}
{{- end }}
{{- $experiment := toString (default "experiment.yaml" $file.spec.experiment) }}
{{- if not (regexMatch "^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$" $experiment) }}
{{- fail (printf "spec.experiment of the pipeline is %s, where a path below the pipeline's folder is expected, such as experiment.yaml" $experiment) }}
{{- end }}
{{- $metadata := ternary $file.metadata dict (kindIs "map" $file.metadata) }}
{{- $found := dict
  "name" (toString (default "pipeline" $metadata.name))
  "experiment" $experiment
  "namespace" (toString (default .Release.Namespace $cluster.namespace))
  "route" (toString (default "istio" $cluster.route)) }}
{{- with $file.spec.listen }}
{{- if not (kindIs "map" .) }}
{{- fail (printf "spec.listen of the pipeline is %v, where {address: 0.0.0.0, port: 8077, token: FAIRTRIAL_LISTEN_TOKEN} is expected" .) }}
{{- end }}
{{- $address := toString (default "127.0.0.1" .address) }}
{{- if has $address (list "127.0.0.1" "localhost" "::1") }}
{{- fail (printf "the pipeline listens at %s, where nobody outside the pod reaches it: say spec.listen.address: 0.0.0.0, and name its token" $address) }}
{{- end }}
{{- if lt (int .port) 1024 }}
{{- fail (printf "the pipeline listens at port %d: say one from 1024 on in spec.listen.port, which the Service can name and the pod may open" (int .port)) }}
{{- end }}
{{- if not .token }}
{{- fail "the pipeline listens without a token: name its variable in spec.listen.token, such as FAIRTRIAL_LISTEN_TOKEN" }}
{{- end }}
{{- $names := list }}
{{- range $.Values.env }}{{ $names = append $names .name }}{{ end }}
{{- if not (or $.Values.listenToken.existingSecret $.Values.envFrom (has .token $names)) }}
{{- fail (printf "the pipeline listens for who shows the token in %s: name the Secret that has it in listenToken.existingSecret" .token) }}
{{- end }}
{{- $_ := set $found "port" (int .port) }}
{{- $_ := set $found "token" (toString .token) }}
{{- end }}
{{- $found | toJson }}
{{- end }}
