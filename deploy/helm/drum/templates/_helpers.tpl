{{- define "drum.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}
{{- end }}

{{- define "drum.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "drum.labels" -}}
{{ include "drum.selectorLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "drum.serviceAccountName" -}}
{{ if .Values.serviceAccount.create }}{{ default (include "drum.fullname" .) .Values.serviceAccount.name }}
{{- else }}{{ default "default" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{- define "drum.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag }}{{ end }}
{{- end }}

{{/* SIGTERM, lame duck, requests in flight, then 10 s for cleanup before the kubelet sends SIGKILL. */}}
{{- define "drum.gracePeriod" -}}
{{ add (int .Values.server.lameDuck) (int .Values.server.gracefulTimeout) 10 }}
{{- end }}

{{/* The parameters of the server by name. What server.parameters says wins, but for the ports and the time limits. */}}
{{- define "drum.parameters" -}}
{{- $server := .Values.server }}
{{- $own := dict
  "DRUM_SERVER_TYPE" $server.type
  "DRUM_MANAGEMENT_PORT" $server.managementPort
  "DRUM_GRACEFUL_TIMEOUT" $server.gracefulTimeout
  "DRUM_LAME_DUCK_SECONDS" $server.lameDuck
  "DRUM_LOG_FORMAT" $server.logFormat
  "CUSTOM_MODEL_WORKERS" $server.workers }}
{{- if eq $server.type "fastapi" }}{{ $_ := set $own "DRUM_EXECUTOR_WORKERS" $server.threads }}{{ end }}
{{- range $name, $value := $server.parameters }}
{{- if hasKey $own $name }}{{ fail (printf "server.parameters.%s: it is set by another value of server" $name) }}{{ end }}
{{- $_ := set $own $name $value }}
{{- end }}
{{- toYaml $own }}
{{- end }}

{{/* The parameters as environment variables. Whole numbers keep their digits: 10000000 would be written 1e+07. */}}
{{- define "drum.parameterEnv" -}}
{{- range $name, $value := include "drum.parameters" . | fromYaml }}
- name: {{ $name }}
  {{- if and (kindIs "float64" $value) (eq (floor $value) $value) }}
  value: {{ int64 $value | toString | quote }}
  {{- else }}
  value: {{ $value | toString | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "drum.env" -}}
{{- include "drum.parameterEnv" . }}
- name: ADDRESS
  value: "0.0.0.0:{{ .Values.server.port }}"
- name: CODE_DIR
  value: {{ .Values.model.path | quote }}
{{- with .Values.model.targetType }}
- name: TARGET_TYPE
  value: {{ . | quote }}
{{- end }}
{{- if .Values.secrets.files }}
- name: USER_SECRETS_MOUNT_PATH
  value: /etc/drum/secrets
{{- end }}
{{- with .Values.secrets.apiKeys }}{{ if .name }}
- name: DRUM_API_KEYS_FILE
  value: /etc/drum/api-keys/{{ .key }}
{{- end }}{{ end }}
{{- if .Values.secrets.tls }}
- name: DRUM_TLS_CERT
  value: /etc/drum/tls/tls.crt
- name: DRUM_TLS_KEY
  value: /etc/drum/tls/tls.key
{{- end }}
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "drum.resources" -}}
{{- $resources := .Values.resources }}
{{- if $resources.override }}{{ toYaml $resources.override }}
{{- else }}
{{- $cpu := printf "%dm" (mul (int $resources.cpuMillisPerWorker) (int .Values.server.workers)) }}
{{- $memory := printf "%dMi" (mul (int $resources.memoryMiPerWorker) (int .Values.server.workers)) }}
requests: {cpu: {{ $cpu }}, memory: {{ $memory }}}
limits: {cpu: {{ $cpu }}, memory: {{ $memory }}}
{{- end }}
{{- end }}
