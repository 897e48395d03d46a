{{- define "pearl.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* 52 characters: a StatefulSet's pods bear a hash of 10 after its name */}}
{{- define "pearl.fullname" -}}
{{- $name := include "pearl.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "pearl.selector" -}}
app.kubernetes.io/name: {{ include "pearl.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "pearl.labels" -}}
{{ include "pearl.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* How a probe asks, for the path given */}}
{{- define "pearl.probe" -}}
{{- if .root.Values.web.clientCertificates -}}
tcpSocket: {port: http}
{{- else -}}
httpGet: {path: {{ .path }}, port: http{{ if .root.Values.web.tls }}, scheme: HTTPS{{ end }}}
{{- end -}}
{{- end -}}

{{/* What an object made of a file is called: fullname-file, in Kubernetes' letters */}}
{{- define "pearl.fileName" -}}
{{- $base := base .path | trimSuffix (ext .path) | trimSuffix ".rules" | lower -}}
{{- printf "%s-%s" (include "pearl.fullname" .root) (regexReplaceAll "[^a-z0-9-]+" $base "-") | trunc 63 | trimSuffix "-" -}}
{{- end -}}
