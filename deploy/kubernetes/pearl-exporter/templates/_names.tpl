{{- define "pearl.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/*
At most 52 characters: a StatefulSet's pods bear a hash of 10 after its name. A release may be called
123 or a.b; a Service's name begins with a letter and has no dots.
*/}}
{{- define "pearl.fullname" -}}
{{- $name := include "pearl.name" . -}}
{{- $full := .Values.fullnameOverride -}}
{{- if not $full -}}
{{- $full = contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- end -}}
{{- $full = $full | replace "." "-" -}}
{{- if regexMatch "^[0-9]" $full -}}
{{- $full = printf "pearl-%s" $full -}}
{{- end -}}
{{- $full | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "pearl.selector" -}}
app.kubernetes.io/name: {{ include "pearl.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "pearl.labels" -}}
{{ include "pearl.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end -}}

{{/*
Texts by name, a line for each, every text in quotes. toYaml leaves a text such as 65e1234567 bare,
which some readers take for a number, and writes a large number as 1e+09; where a whole value is
inserted, toJson is right, since JSON is YAML.
*/}}
{{- define "pearl.texts" -}}
{{- range $key, $value := . }}
{{ $key | quote }}: {{ $value | quote }}
{{- end }}
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
