{{- define "fairtrial.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "fairtrial.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "fairtrial.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "fairtrial.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Labels of every object. */}}
{{- define "fairtrial.labels" -}}
app.kubernetes.io/name: {{ include "fairtrial.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* Labels by which a part's pods are selected: (list $ "operator"). */}}
{{- define "fairtrial.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "fairtrial.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* The ServiceAccount of a part: (list $ "operator"). */}}
{{- define "fairtrial.serviceAccount" -}}
{{- $root := index . 0 -}}
{{- $part := index $root.Values (index . 1) -}}
{{- if $part.serviceAccount.create -}}
{{- default (printf "%s-%s" (include "fairtrial.fullname" $root) (index . 1)) $part.serviceAccount.name }}
{{- else -}}
{{- default "default" $part.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "fairtrial.image" -}}
{{- $name := .Values.image.repository -}}
{{- if .Values.image.registry }}{{ $name = printf "%s/%s" .Values.image.registry $name }}{{ end -}}
{{- if .Values.image.digest -}}
{{ printf "%s@%s" $name .Values.image.digest }}
{{- else -}}
{{ printf "%s:%s" $name (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* What the pod of each part has in common: (list $ "operator"). */}}
{{- define "fairtrial.pod" -}}
{{- $root := index . 0 -}}
{{- $part := index $root.Values (index . 1) -}}
serviceAccountName: {{ include "fairtrial.serviceAccount" . }}
enableServiceLinks: false # a Service's variables could be taken for options of ours
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $part.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
affinity:
  {{- if $part.affinity }}
  {{- toYaml $part.affinity | nindent 2 }}
  {{- else }}
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "fairtrial.selector" . | nindent 14 }}
  {{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 8888
  runAsGroup: 8888
  fsGroup: 8888
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* And its container. */}}
{{- define "fairtrial.container" -}}
{{- $root := index . 0 -}}
{{- $part := index $root.Values (index . 1) -}}
image: {{ include "fairtrial.image" $root | quote }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources:
  {{- toYaml $part.resources | nindent 2 }}
{{- with $part.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The collector asks for it, and the operator sends it. */}}
{{- define "fairtrial.collectorToken" -}}
{{- with .Values.collector.auth }}
{{- if and .secretName .tokenKey }}
- name: FAIRTRIAL_COLLECTOR_TOKEN
  valueFrom: {secretKeyRef: {name: {{ .secretName }}, key: {{ .tokenKey }}}}
{{- end }}
{{- end }}
{{- end }}
