package admin

import (
	dto "github.com/prometheus/client_model/go"
)

// A family is one of the metrics of /metrics, with all its labels.
type family struct {
	name string
	kind dto.MetricType
	help string
}

const (
	counter   = dto.MetricType_COUNTER
	gauge     = dto.MetricType_GAUGE
	histogram = dto.MetricType_HISTOGRAM
)

// families are all that there are, in the order of /metrics; docs/operating.md says what each
// means. Their names are Prometheus's own where it has one (process_…), and otherwise begin
// with "gatehouse_".
var families = [...]family{
	{"gatehouse_build_info", gauge, "Always 1; the version is a label."},
	{"gatehouse_ready", gauge, "1 while the gateway is to get requests, 0 before it serves and while it drains."},

	{"gatehouse_requests_total", counter, `Requests that have ended, by the class of their status; "truncated" if the response broke off, and "gone" if the client left.`},
	{"gatehouse_requests_in_flight", gauge, "Requests that have begun and not ended."},
	{"gatehouse_requests_waiting", gauge, "Requests in flight that wait for their turn."},
	{"gatehouse_request_wait_seconds", histogram, "How long requests waited for their turn, of those that had to."},
	{"gatehouse_request_first_byte_seconds", histogram, "Time from the beginning of a request to the head of its response."},
	{"gatehouse_request_duration_seconds", histogram, "Time from the beginning of a request to its end."},
	{"gatehouse_request_body_bytes_total", counter, "Bytes of bodies of requests that were read."},
	{"gatehouse_response_body_bytes_total", counter, "Bytes of bodies of responses that were sent."},
	{"gatehouse_requests_refused_total", counter, "Requests that were refused, by the limit or check that did."},
	{"gatehouse_requests_timed_out_total", counter, "Requests that a limit of time has ended, by its key."},
	{"gatehouse_requests_aborted_total", counter, "Requests that an administrator has aborted."},
	{"gatehouse_panics_total", counter, "Panics of an application in this process."},

	{"gatehouse_programs", gauge, "Programs that run, or connections to an application that are in use."},
	{"gatehouse_programs_limit", gauge, "The most programs that may run (programs), or connections that may be in use (connections)."},
	{"gatehouse_programs_waited_total", counter, "Requests that had to wait for a program, a process that starts, or a connection."},
	{"gatehouse_programs_refused_total", counter, "Requests that were refused since they had no turn: the queue was full, or queue_wait was over."},
	{"gatehouse_queue", gauge, "Requests in the queue for a program or a connection."},
	{"gatehouse_queue_limit", gauge, "The most requests in the queue (queue)."},
	{"gatehouse_queue_refused_total", counter, "Requests that were refused because the queue was full."},
	{"gatehouse_program_exits_total", counter, "Programs that have exited, by status."},
	{"gatehouse_program_signals_total", counter, "Programs that a signal has ended."},
	{"gatehouse_program_cpu_seconds_total", counter, "Processor time of programs that have ended."},
	{"gatehouse_program_peak_memory_bytes", gauge, "The most memory that any program has had resident."},

	{"gatehouse_kept_processes", gauge, "Processes that are kept, by state."},
	{"gatehouse_kept_processes_memory_bytes", gauge, "Resident memory of all processes that are kept."},
	{"gatehouse_kept_processes_failing", gauge, "1 if no process could be started since the last one failed."},
	{"gatehouse_upstream_connections", gauge, "Connections to an address of an application, by state."},
	{"gatehouse_upstream_consecutive_failures", gauge, "Failures in a row of an address of an application."},
	{"gatehouse_upstream_avoided", gauge, "1 while other addresses of the application are preferred."},

	{"gatehouse_connections", gauge, "Open connections of all listeners, and one for each listener that waits for the next."},
	{"gatehouse_connections_limit", gauge, "The most connections of all listeners, which RLIMIT_NOFILE leaves them."},
	{"gatehouse_connections_waited_total", counter, "How often accepting had to wait because all connections were taken."},
	{"gatehouse_connections_accepted_total", counter, "Connections that were accepted."},
	{"gatehouse_connections_evicted_total", counter, "Idle connections that were closed to make room for others."},
	{"gatehouse_connections_closed_at_once_total", counter, "Connections that were closed at once, by the check that refused them."},
	{"gatehouse_accept_failures_total", counter, "How often accepting failed, as for the lack of a descriptor."},
	{"gatehouse_requests_declined_total", counter, "Requests that a connection did not take, by the check that refused them."},
	{"gatehouse_listener_connections", gauge, "Open connections of a listener."},
	{"gatehouse_listener_connections_limit", gauge, "The most connections of a listener (max_connections)."},
	{"gatehouse_listener_connections_waited_total", counter, "How often a listener had to wait because all its connections were taken."},
	{"gatehouse_listener_backlog", gauge, "Connections that the system holds and nobody has accepted yet."},
	{"gatehouse_listener_backlog_limit", gauge, "The most connections that the system holds."},

	{"gatehouse_spool_bytes", gauge, "Bytes of bodies that are kept."},
	{"gatehouse_spool_limit_bytes", gauge, "The most bytes of bodies that are kept (spool_total)."},
	{"gatehouse_spool_refused_total", counter, "How often a body found no room within spool_total."},
	{"gatehouse_spool_memory_bytes", gauge, "Bytes of bodies that are kept in memory."},
	{"gatehouse_spool_memory_limit_bytes", gauge, "The most bytes of bodies that are kept in memory (spool_memory_total)."},
	{"gatehouse_spool_memory_refused_total", counter, "How often a body found no room within spool_memory_total, and went to a file."},
	{"gatehouse_spool_files", gauge, "Files that hold bodies."},
	{"gatehouse_spool_files_limit", gauge, "The most files that hold bodies."},
	{"gatehouse_spool_files_refused_total", counter, "How often a body could have no file since there were as many as may be."},
	{"gatehouse_params_bytes", gauge, "Bytes of variables of requests beyond the usual."},
	{"gatehouse_params_limit_bytes", gauge, "The most bytes of variables of requests beyond the usual (params_total)."},
	{"gatehouse_params_refused_total", counter, "How often the variables of a request found no room within params_total."},

	{"gatehouse_reloads_total", counter, "Reloads of the configuration, by result."},
	{"gatehouse_last_reload_successful", gauge, "0 if the last reload failed: the configuration before it is served."},
	{"gatehouse_last_reload_timestamp_seconds", gauge, "When the last reload ended."},
	{"gatehouse_old_configurations", gauge, "Replaced configurations that still have requests in flight."},
	{"gatehouse_old_configurations_limit", gauge, "The most replaced configurations that may have requests in flight."},
	{"gatehouse_old_configurations_refused_total", counter, "Reloads that were refused because there were as many as may be."},
	{"gatehouse_log_lines_dropped_total", counter, "Lines that a log has lost, as it could not be written."},
	{"gatehouse_admin_refused_total", counter, "Requests and connections to the admin addresses that were refused: too many, or not allowed."},

	{"process_cpu_seconds_total", counter, "Processor time of the gateway, without programs."},
	{"process_resident_memory_bytes", gauge, "Resident memory of the gateway, without programs."},
	{"gatehouse_memory_limit_bytes", gauge, "Limit of the control group that the gateway is in (memory.max)."},
	{"process_open_fds", gauge, "Open descriptors of the gateway."},
	{"process_max_fds", gauge, "The most descriptors that may be open (RLIMIT_NOFILE)."},
	{"process_start_time_seconds", gauge, "When the gateway began to serve."},
	{"go_goroutines", gauge, "Goroutines of the gateway."},
}
