{{- define "volery.labels" -}}
app.kubernetes.io/part-of: volery
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- /* Of a component: (dict "root" $ "component" "worker") */ -}}
{{- define "volery.selector" -}}
app.kubernetes.io/name: volery
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "volery.image" -}}
{{ .root.Values.images.registry }}/{{ .name }}:{{ .root.Values.images.tag | default .root.Chart.AppVersion }}
{{- end -}}

{{- define "volery.databaseSecret" -}}
{{- .Values.database.secret | default "volery-database" -}}
{{- end -}}

{{- define "volery.tlsSecret" -}}
{{- .Values.tls.secret | default "volery-tls" -}}
{{- end -}}

{{- define "volery.tokenSecret" -}}
{{- .Values.worker.token.secret | default "volery-worker-token" -}}
{{- end -}}

{{- define "volery.host" -}}
volery-control-plane.{{ .Release.Namespace }}.svc
{{- end -}}

{{- define "volery.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "volery.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- /* Settings as the user says them, else as the chart does: (dict "own" the chart's "root" $ "settings" the user's) */ -}}
{{- define "volery.settings" -}}
{{- $own := .own | fromYaml -}}
{{- range $name, $value := merge (dict) .settings .root.Values.storage.environment $own }}
{{ $name }}: {{ $value | toString | quote }}
{{- end }}
{{- end -}}

{{- define "volery.controlPlaneSettings" -}}
{{- $own := include "volery.controlPlaneOwnSettings" . -}}
{{- include "volery.settings" (dict "own" $own "root" . "settings" .Values.controlPlane.settings) -}}
{{- end -}}

{{- define "volery.workerSettings" -}}
{{- $own := include "volery.workerOwnSettings" . -}}
{{- include "volery.settings" (dict "own" $own "root" . "settings" .Values.worker.settings) -}}
{{- end -}}

{{- define "volery.controlPlaneOwnSettings" -}}
VOLERY_DATABASE_FILE: /etc/volery/database/url
VOLERY_LISTEN: 0.0.0.0:8470
VOLERY_DATA_LISTEN: 0.0.0.0:8471
VOLERY_AUTHENTICATION: required
VOLERY_TLS_CERTIFICATE: /etc/volery/tls/tls.crt
VOLERY_TLS_KEY: /etc/volery/tls/tls.key
VOLERY_PUBLIC_ADDRESS: {{ .Values.controlPlane.publicAddress | default (printf "https://%s:8470" (include "volery.host" .)) | quote }}
VOLERY_DATA_PUBLIC_ADDRESS: {{ .Values.controlPlane.dataPublicAddress | default (printf "https://%s:8471" (include "volery.host" .)) | quote }}
VOLERY_STORAGE: {{ .Values.storage.volume.enabled | ternary "/var/lib/volery/objects" .Values.storage.uri | quote }}
VOLERY_DRAIN: {{ .Values.controlPlane.drain | quote }}
VOLERY_METRICS: 0.0.0.0:9464
VOLERY_METRICS_OPEN: "true"
VOLERY_LOG_FORMAT: json
{{- end -}}

{{- define "volery.workerOwnSettings" -}}
VOLERY_SERVER: {{ printf "https://%s:8470" (include "volery.host" .) }}
VOLERY_WORKER_LAUNCHER: kubernetes
VOLERY_WORKER_SLOTS: {{ .Values.worker.slots | quote }}
VOLERY_WORKER_STATE: /var/lib/volery/worker
VOLERY_TOKEN_FILE: /etc/volery/token/token
VOLERY_TLS_CA: /etc/volery/authority/ca.crt
VOLERY_POD_IMAGE: {{ include "volery.image" (dict "root" . "name" "volery-task") }}
VOLERY_WORKER_METRICS: 0.0.0.0:9464
VOLERY_WORKER_METRICS_OPEN: "true"
VOLERY_WORKER_LOG_FORMAT: json
{{- with .Values.worker.namespaces }}
VOLERY_WATCHED_NAMESPACES: {{ join "," . | quote }}
{{- end }}
{{- end -}}

{{- /* What is refused before anything is made. */ -}}
{{- define "volery.check" -}}
{{- if and (not .Values.database.secret) (not .Values.postgresql.enabled) -}}
{{- fail "database.secret must name a secret with the database's url, or postgresql.enabled be true" -}}
{{- end -}}
{{- if and .Values.database.secret .Values.postgresql.enabled -}}
{{- fail "database.secret and postgresql.enabled are two databases; choose one" -}}
{{- end -}}
{{- if and (not .Values.storage.uri) (not .Values.storage.volume.enabled) -}}
{{- fail "storage.uri must say where the object store is, or storage.volume.enabled be true" -}}
{{- end -}}
{{- if and .Values.storage.uri .Values.storage.volume.enabled -}}
{{- fail "storage.uri and storage.volume.enabled are two object stores; choose one" -}}
{{- end -}}
{{- if and .Values.storage.volume.enabled (gt (int .Values.controlPlane.replicas) 1) -}}
{{- fail "storage.volume is one control plane's: set controlPlane.replicas to 1, or storage.uri to an object store" -}}
{{- end -}}
{{- end -}}
