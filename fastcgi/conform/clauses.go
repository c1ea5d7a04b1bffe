package conform

// A clause is a rule, and the check for it.
type clause struct {
	id, section, text string
	check             func(*probe) verdict
	unseen            string // why there is no check, if there is none
}

const (
	notOutside = "cannot be seen from outside: "
	webServer  = "a rule for web servers"
)

// clauses are all clauses, in the order of a report. Ids are stable.
var clauses = [...]clause{
	{"F1a", "3.3", "padding of up to 255 bytes is skipped, after records of every type", paddingSkipped, ""},
	{"F1b", "3.3", "the reserved byte of a header is ignored", reservedIgnored, ""},
	{"F1c", "3.3", "records of version 0 are not understood: the connection is closed", version0, ""},
	{"F1d", "3.3", "records of version 2 are not understood: the connection is closed", version2, ""},
	{"F2a", "5", "a response consists of STDOUT, STDERR and END_REQUEST records only", responseTypes, ""},
	{"F2b", "5.1", "flag bits other than KEEP_CONN are ignored", otherFlags, ""},
	{"F3a", "3.3", "id 0 is for management: an application record with it starts no request", applicationRecordsOnZero, ""},
	{"F3b", "3.3", "a management type with an id other than 0 disturbs no request", managementWithID, ""},
	{"F4", "3.3", "records with inactive ids are ignored, content included", inactiveIgnored, ""},
	{"F5", "3.3", "BEGIN_REQUEST for an active id, which is undefined, gets a response or a closed connection", beginOnActive, ""},
	{"F6a", "5.1", "a BEGIN_REQUEST shorter than 8 bytes starts no request, and gets an error or a closed connection", shortBegin, ""},
	{"F6b", "5.1", "a BEGIN_REQUEST longer than 8 bytes gets a response or a closed connection", longBegin, ""},
	{"F7a", "3.3", "PARAMS records form one stream: pairs and lengths may cross their boundaries", paramsByByte, ""},
	{"F7b", "3.3", "STDIN records form one stream", stdinByByte, ""},
	{"F8", "3.3", "records of a stream after its end are ignored", afterEnd, ""},
	{"F9a", "3.4", "lengths below 128 may be encoded in four bytes", fourByteLengths, ""},
	{"F9b", "3.4", "names, values, or both may be longer than 127 bytes", longNamesAndValues, ""},
	{"F9c", "3.4", "a value may be empty", emptyValue, ""},
	{"F9d", "3.4", "a pair truncated by the end of PARAMS is an error", truncatedPair, ""},
	{"F9e", "3.4", "a length of 2 GiB that no data follows is an error, and costs no memory", announcedLength, ""},
	{"F10", "3.4", "a name may occur twice", repeatedNames, ""},
	{"F11", "6.1", "no response starts before PARAMS have ended", paramsFirst, ""},
	{"F12a", "6.2", "a STDIN shorter than CONTENT_LENGTH gets a response or a closed connection", shortStdin, ""},
	{"F12b", "6.2", "STDIN beyond CONTENT_LENGTH is ignored", longStdin, ""},
	{"F13a", "4.1", "GET_VALUES is answered with GET_VALUES_RESULT, id 0", valuesAnswered, ""},
	{"F13b", "4.1", "GET_VALUES_RESULT contains only names that were asked for", valuesOnlyAsked, ""},
	{"F13c", "4.1", "unknown names are left out of GET_VALUES_RESULT, which is sent all the same", valuesUnknown, ""},
	{"F13d", "4.1", "a request may follow GET_VALUES on the same connection", valuesThenRequest, ""},
	{"F13e", "4.1", "GET_VALUES may arrive during a request", valuesWithin, ""},
	{"F14a", "4.2", "management records of an unknown type are answered with UNKNOWN_TYPE", unknownTypeAnswered, ""},
	{"F14b", "4.2", "a request may follow UNKNOWN_TYPE on the same connection", unknownTypeThenRequest, ""},
	{"F15", "3.3", "a record of unknown type with the id of a request is ignored", unknownApplicationType, ""},
	{"F16a", "5.5", "an unsupported role is refused with UNKNOWN_ROLE", unknownRole, ""},
	{"F16b", "5.5", "after UNKNOWN_ROLE the rest of the request is ignored, and the next request is served", unknownRoleThenRequest, ""},
	{"F16c", "5.1", "after UNKNOWN_ROLE the connection is closed, unless KEEP_CONN was set", unknownRoleCloses, ""},
	{"F17", "5.5", "a second request on the connection is served, or refused with CANT_MPX_CONN; the first is unaffected", secondBegin, ""},
	{"F18", "5.5", "requests beyond the capacity are refused with OVERLOADED", nil, notOutside + "it shows only under load"},
	{"F19a", "5.4", "ABORT_REQUEST is answered with END_REQUEST, and nothing follows", abortAnswered, ""},
	{"F19b", "5.4", "the id of an aborted request can be used again after its END_REQUEST", abortThenRequest, ""},
	{"F19c", "5.4", "ABORT_REQUEST for an inactive id is ignored", abortUnknown, ""},
	{"F19d", "5.4", "ABORT_REQUEST before the end of PARAMS is answered with END_REQUEST, too", abortBeforeParams, ""},
	{"F20a", "5.5", "a request ends with an END_REQUEST of 8 bytes and one of the four statuses", endRequest, ""},
	{"F20b", "5.5", "END_REQUEST is sent once, and last", endOnce, ""},
	{"F20c", "5.5", "appStatus is the exit status", nil, notOutside + "only the program knows it"},
	{"F21a", "6.1", "STDOUT is closed by an empty record before END_REQUEST", stdoutClosed, ""},
	{"F21b", "6.1", "STDERR is not sent at all, or is closed by an empty record", stderrClosed, ""},
	{"F22a", "5.1", "without KEEP_CONN the connection is closed after the response", closesAfterEnd, ""},
	{"F22b", "5.1", "with KEEP_CONN the connection stays open, and accepts further requests", keepsOpen, ""},
	{"F23", "3.3", "a long response is split into records of at most 65535 bytes", bigRecords, ""},
	{"F24a", "3.3", "records of several requests may be interleaved on one connection", interleaved, ""},
	{"F24b", "3.3", "an incomplete body does not block another request", bodyOutstanding, ""},
	{"F24c", "3.3", "an incomplete body of 1 MiB does not block another request", largeBodyOutstanding, ""},
	{"F25", "3.5", "a web server that disconnects during a request affects no other request", lostConnection, ""},
	{"F26", "2.2", "the listening socket is descriptor 0", nil, notOutside + "descriptors belong to the process"},
	{"F27", "3.2", "FCGI_WEB_SERVER_ADDRS restricts who may connect", nil, notOutside + "the environment belongs to the process"},
	{"F28", "6.2", "a Responder sends a CGI response, without an HTTP status line", cgiResponse, ""},
	{"F29", "6.3", "an Authorizer, which gets no body, sends a CGI response", authorizer, ""},
	{"F30", "6.3", "Variable-NAME becomes a variable of later requests", nil, webServer},
	{"F31", "6.4", "a Filter, which gets DATA after STDIN, sends a CGI response", filter, ""},
	{"F32", "7", "SIGTERM ends the process with status 0", nil, notOutside + "signals are sent to the process"},

	{"P1a", "", "a response has the id of its request, whatever that is", idsEchoed, ""},
	{"P1b", "", "ids on a connection may increase (HAProxy)", idsGrow, ""},
	{"P3", "", "the first STDOUT record is not empty (nginx: 502)", firstNotEmpty, ""},
	{"P6", "", "a body of 1 MiB does not truncate the response when the connection is closed after it", bodyThenClose, ""},
	{"P7", "", "with KEEP_CONN another request may follow a body of 1 MiB, read or not", bodyThenRequest, ""},
	{"P8", "", "a body of 1 MiB may be sent whole before the response is read", bodyFirst, ""},
	{"P10", "", "PARAMS may be 24 KiB long, split between pairs (Apache)", manyParams, ""},
	{"P11a", "", "a variable with an empty name does no harm", emptyName, ""},
	{"P11b", "", "a variable whose name contains an equals sign does no harm", equalsName, ""},
	{"P14a", "", "a body may be sent without CONTENT_LENGTH (Apache, chunked)", missingLength, ""},
	{"P14b", "", "a body may be sent with an empty CONTENT_LENGTH (nginx, unbuffered)", emptyLength, ""},
	{"P16", "", "an idle connection that is kept open does not block the endpoint", heldConnection, ""},

	{"C1", "", "a body may be sent with a CONTENT_LENGTH of 0 (nginx, unbuffered)", zeroLength, ""},
	{"C2", "", "a body may be sent with a CONTENT_LENGTH of -1 (Caddy, chunked)", negativeLength, ""},
	{"C3", "RFC 3875 § 4.3.3", "the response to HEAD has no body (HAProxy: 502)", headWithoutBody, ""},
	{"C4", "", "a value with a NUL byte is refused or passed on, and does no harm (HAProxy, Caddy)", nulValue, ""},
	{"C5", "", "names that are not meta-variables may be sent (Apache), as may HTTP_PROXY", otherNames, ""},
}
