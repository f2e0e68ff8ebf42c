{{/* A Job cannot be changed: each revision of the release has its own. */}}
{{- define "locust.name" -}}
{{- printf "%s-%d" (.Release.Name | trunc 40 | trimSuffix "-") .Release.Revision }}
{{- end }}

{{- define "locust.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ include "locust.name" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* (list $ "run") */}}
{{- define "locust.selector" -}}
app.kubernetes.io/name: {{ (index . 0).Chart.Name }}
app.kubernetes.io/instance: {{ include "locust.name" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "locust.image" -}}
{{- $name := .Values.image.repository -}}
{{- if .Values.image.registry }}{{ $name = printf "%s/%s" .Values.image.registry $name }}{{ end -}}
{{- if .Values.image.digest -}}
{{ printf "%s@%s" $name .Values.image.digest }}
{{- else -}}
{{ printf "%s:%s" $name (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "locust.serviceAccount" -}}
{{- if .Values.run.serviceAccount.create -}}
{{ default (include "locust.name" .) .Values.run.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.run.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* What the pod of each Job has in common. */}}
{{- define "locust.pod" -}}
restartPolicy: Never
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 8888
  runAsGroup: 8888
  fsGroup: 8888
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* And its container: (list $ .Values.run). */}}
{{- define "locust.container" -}}
{{- $root := index . 0 -}}
image: {{ include "locust.image" $root | quote }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources:
  {{- toYaml (index . 1).resources | nindent 2 }}
{{- end }}

{{- define "locust.token" -}}
- name: FAIRTRIAL_LOAD_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ default (include "locust.name" .) .Values.token.existingSecret }}
      key: {{ .Values.token.key }}
- {name: HOME, value: /scratch}
- {name: TMPDIR, value: /scratch}
{{- end }}
