"""The contract's list of metrics, written out: name, type in OpenMetrics, labels."""

STATUSES = (
    "new", "need_retry", "in_call_queue", "wrong_country_code", "on_call", "voice_mail_left",
    "success", "not_successful", "complete", "unreachable", "blacklisted", "queue_abandon", "error",
)  # fmt: skip

SETTLED_STATUSES = tuple(
    each for each in STATUSES if each not in ("new", "in_call_queue", "on_call")
)

CALL_STATUSES = ("in_progress", "completed", "busy", "failed", "no_answer", "canceled")

REASONS = (
    "auth", "not_found", "rate_limited", "timeout", "connection", "server_error", "bad_request",
    "bad_response", "inconsistent", "state",
)  # fmt: skip

WINDOW = {
    "pearl_window_calls": ("gauge", {"outbound", "status"}),
    "pearl_window_telephony_calls": ("gauge", {"outbound", "call_status"}),
    "pearl_window_tagged_calls": ("gauge", {"outbound", "tag"}),
    "pearl_window_untagged_calls": ("gauge", {"outbound"}),
    "pearl_window_call_duration_seconds": ("gaugehistogram", {"outbound"}),
    "pearl_window_seconds": ("gauge", {"outbound"}),
}

COUNTED = {
    "pearl_calls_started_total": ("counter", {"outbound"}),
    "pearl_calls_total": ("counter", {"outbound", "status"}),
    "pearl_telephony_calls_total": ("counter", {"outbound", "call_status"}),
    "pearl_tagged_calls_total": ("counter", {"outbound", "tag"}),
    "pearl_untagged_calls_total": ("counter", {"outbound"}),
    "pearl_call_duration_seconds": ("histogram", {"outbound", "status"}),
    "pearl_call_revisions_total": ("counter", {"outbound", "field"}),
    "pearl_calls_uncounted_total": ("counter", {"outbound", "reason"}),
    "pearl_outbound_uncounted_seconds_total": ("counter", {"outbound"}),
}

NOW_SERIES = {
    "pearl_live_calls": ("gauge", {"outbound"}),
    "pearl_pending_calls": ("gauge", {"outbound"}),
    "pearl_oldest_live_call_start_timestamp_seconds": ("gauge", {"outbound"}),
}

OUTBOUND_HEALTH = {
    "pearl_outbound_tracking_since_timestamp_seconds": ("gauge", {"outbound"}),
    "pearl_outbound_up": ("gauge", {"outbound"}),
    "pearl_outbound_token_refused": ("gauge", {"outbound"}),
    "pearl_outbound_info": ("gauge", {"outbound", "outbound_id", "team"}),
    "pearl_outbound_last_success_timestamp_seconds": ("gauge", {"outbound"}),
    "pearl_outbound_data_timestamp_seconds": ("gauge", {"outbound"}),
    "pearl_outbound_poll_interval_seconds": ("gauge", {"outbound"}),
    "pearl_outbound_poll_duration_seconds": ("gauge", {"outbound"}),
    "pearl_outbound_poll_lateness_seconds": ("gauge", {"outbound"}),
    "pearl_outbound_tracked_calls": ("gauge", {"outbound"}),
    "pearl_outbound_missing_calls": ("gauge", {"outbound"}),
    "pearl_outbound_unreadable_rows": ("gauge", {"outbound"}),
    "pearl_outbound_reads_by_offset": ("gauge", {"outbound"}),
    "pearl_outbound_catching_up": ("gauge", {"outbound"}),
    "pearl_outbound_caught_up_timestamp_seconds": ("gauge", {"outbound"}),
    "pearl_outbound_full_scan_success_timestamp_seconds": ("gauge", {"outbound"}),
    "pearl_exporter_polls_total": ("counter", {"outbound"}),
    "pearl_exporter_poll_failures_total": ("counter", {"outbound", "reason"}),
    "pearl_exporter_polls_skipped_total": ("counter", {"outbound"}),
    "pearl_exporter_folded_tags": ("gauge", {"outbound"}),
}

EXPORTER = {
    "pearl_exporter_build_info": ("gauge", {"version", "python_version"}),
    "pearl_exporter_api_requests_total": ("counter", {"code"}),
    "pearl_exporter_api_request_duration_seconds": ("histogram", set()),
    "pearl_exporter_api_retries_total": ("counter", set()),
    "pearl_exporter_api_rate_limit": ("gauge", set()),
    "pearl_exporter_api_rate_limit_configured": ("gauge", set()),
    "pearl_exporter_api_requests_waiting": ("gauge", set()),
    "pearl_exporter_api_tokens_refused": ("gauge", set()),
    "pearl_exporter_api_wait_seconds_total": ("counter", set()),
    "pearl_exporter_api_clock_skew_seconds": ("gauge", set()),
    "pearl_exporter_rows_total": ("counter", set()),
    "pearl_exporter_rows_rejected_total": ("counter", set()),
    "pearl_exporter_unusable_fields_total": ("counter", {"field"}),
    "pearl_exporter_rows_outside_range_total": ("counter", set()),
    "pearl_exporter_unknown_codes_total": ("counter", {"field"}),
    "pearl_exporter_log_lines_dropped_total": ("counter", set()),
    "pearl_exporter_config_last_reload_successful": ("gauge", set()),
    "pearl_exporter_config_last_reload_success_timestamp_seconds": ("gauge", set()),
}

SIGNALS = {
    "pearl_signal_usual_ratio": ("gauge", {"outbound", "signal"}),
    "pearl_signal_usual_calls": ("gauge", {"outbound", "signal"}),
    "pearl_signal_recent_ratio": ("gauge", {"outbound", "signal"}),
    "pearl_signal_recent_calls": ("gauge", {"outbound", "signal"}),
    "pearl_signal_recent_bad_calls": ("gauge", {"outbound", "signal"}),
    "pearl_signal_evidence": ("gauge", {"outbound", "signal"}),
    "pearl_signal_evidence_limit": ("gauge", {"outbound", "signal", "severity"}),
    "pearl_signal_since_timestamp_seconds": ("gauge", {"outbound", "signal"}),
    "pearl_signal_ceiling_ratio": ("gauge", {"outbound", "signal"}),
}

HIDDEN_WHEN_STALE = WINDOW | NOW_SERIES | SIGNALS

CONTRACT = HIDDEN_WHEN_STALE | COUNTED | OUTBOUND_HEALTH | EXPORTER
