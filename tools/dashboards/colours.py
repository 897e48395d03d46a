"""Colours of outcomes, telephony states and failure reasons: green is good, red is failed."""

OUTCOMES = {
    "success": "green",
    "complete": "light-green",
    "not_successful": "light-yellow",
    "voice_mail_left": "light-blue",
    "need_retry": "super-light-blue",
    "on_call": "blue",
    "in_call_queue": "dark-blue",
    "new": "super-light-purple",
    "unreachable": "orange",
    "error": "red",
    "wrong_country_code": "purple",
    "blacklisted": "dark-purple",
    "queue_abandon": "light-purple",
    "unknown": "text",
}

TELEPHONY_STATES = {
    "completed": "green",
    "in_progress": "blue",
    "no_answer": "light-orange",
    "busy": "yellow",
    "canceled": "light-purple",
    "failed": "red",
    "unknown": "text",
}

REASONS = {
    "auth": "dark-red",
    "not_found": "red",
    "rate_limited": "orange",
    "timeout": "yellow",
    "connection": "light-orange",
    "server_error": "purple",
    "bad_request": "light-red",
    "bad_response": "light-purple",
    "inconsistent": "blue",
    "state": "dark-purple",
}
