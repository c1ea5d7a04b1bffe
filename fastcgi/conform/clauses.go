package conform

// A clause is a rule, and the check that says whether it holds.
type clause struct {
	id, section, text string
	check             func(*probe) verdict
	unseen            string // why there is no check
}

const (
	notOutside = "cannot be seen from outside: "
	webServer  = "a rule for web servers"
)

// clauses are all there are, in the order of a report. An id keeps its meaning.
var clauses = [...]clause{
	{"F1a", "3.3", "padding of up to 255 bytes is skipped, after records of every type", paddingSkipped, ""},
	{"F1b", "3.3", "the reserved byte of a header is ignored", reservedIgnored, ""},
	{"F1c", "3.3", "records of version 0 are not understood: the connection is closed", version0, ""},
	{"F1d", "3.3", "records of version 2 are not understood: the connection is closed", version2, ""},
	{"F2a", "5", "a request is answered by STDOUT, STDERR and END_REQUEST, and no other type", answerTypes, ""},
	{"F2b", "5.1", "flag bits other than KEEP_CONN have no meaning", otherFlags, ""},
	{"F3a", "3.3", "id 0 is for management: an application record with it starts no request", applicationRecordsOnZero, ""},
	{"F3b", "3.3", "a management type with another id than 0 disturbs no request", managementWithID, ""},
	{"F4", "3.3", "records of ids that are not active are ignored, with all their bytes", inactiveIgnored, ""},
	{"F5", "3.3", "BEGIN_REQUEST for an active id, which has no meaning, leaves nobody hanging", beginOnActive, ""},
	{"F6a", "5.1", "a BEGIN_REQUEST of less than 8 bytes starts no request, and leaves nobody hanging", shortBegin, ""},
	{"F6b", "5.1", "a BEGIN_REQUEST of more than 8 bytes is answered or refused", longBegin, ""},
	{"F7a", "3.3", "the records of PARAMS are one stream: pairs and lengths go over their boundaries", paramsByByte, ""},
	{"F7b", "3.3", "the records of STDIN are one stream", stdinByByte, ""},
	{"F8", "3.3", "what comes for a stream after its end is ignored", afterEnd, ""},
	{"F9a", "3.4", "lengths of less than 128 may have four bytes", fourByteLengths, ""},
	{"F9b", "3.4", "names and values may have more than 127 bytes, each by itself and both", longNamesAndValues, ""},
	{"F9c", "3.4", "a value may be empty", emptyValue, ""},
	{"F9d", "3.4", "a pair that the end of PARAMS cuts short is an error", truncatedPair, ""},
	{"F9e", "3.4", "a length of 2 GiB that was only announced is an error, and costs nothing", announcedLength, ""},
	{"F10", "3.4", "a name may come twice", repeatedNames, ""},
	{"F11", "6.1", "nothing is answered before PARAMS have ended", paramsFirst, ""},
	{"F12a", "6.2", "a STDIN shorter than CONTENT_LENGTH leaves nobody hanging", shortStdin, ""},
	{"F12b", "6.2", "of a STDIN longer than CONTENT_LENGTH the rest is ignored", longStdin, ""},
	{"F13a", "4.1", "GET_VALUES is answered by GET_VALUES_RESULT with id 0", valuesAnswered, ""},
	{"F13b", "4.1", "GET_VALUES_RESULT holds names that were asked for, and no others", valuesOnlyAsked, ""},
	{"F13c", "4.1", "names that are not understood are left out; the answer comes all the same", valuesUnknown, ""},
	{"F13d", "4.1", "a request may follow GET_VALUES on its connection", valuesThenRequest, ""},
	{"F13e", "4.1", "GET_VALUES may come while a request is under way", valuesWithin, ""},
	{"F14a", "4.2", "management records of an unknown type are answered by UNKNOWN_TYPE", unknownTypeAnswered, ""},
	{"F14b", "4.2", "a request may follow UNKNOWN_TYPE", unknownTypeThenRequest, ""},
	{"F15", "3.3", "an unknown type with the id of a request is ignored", unknownApplicationType, ""},
	{"F16a", "5.5", "a role that is not played is answered by UNKNOWN_ROLE", unknownRole, ""},
	{"F16b", "5.5", "after UNKNOWN_ROLE the rest of the request is ignored; the next one is answered", unknownRoleThenRequest, ""},
	{"F16c", "5.1", "after UNKNOWN_ROLE the connection is closed, unless KEEP_CONN was set", unknownRoleCloses, ""},
	{"F17", "5.5", "a second request on the connection is answered, or refused by CANT_MPX_CONN; the first is unharmed", secondBegin, ""},
	{"F18", "5.5", "what is too much is refused by OVERLOADED", nil, notOutside + "it takes a load to see it"},
	{"F19a", "5.4", "ABORT_REQUEST is answered by END_REQUEST, and nothing follows", abortAnswered, ""},
	{"F19b", "5.4", "after the END_REQUEST of an aborted request its id can be used again", abortThenRequest, ""},
	{"F19c", "5.4", "ABORT_REQUEST for an id that is not active is ignored", abortUnknown, ""},
	{"F19d", "5.4", "ABORT_REQUEST before the end of PARAMS is answered, too", abortBeforeParams, ""},
	{"F20a", "5.5", "a request ends by an END_REQUEST of 8 bytes with one of the four statuses", endRequest, ""},
	{"F20b", "5.5", "END_REQUEST comes once, and last", endOnce, ""},
	{"F20c", "5.5", "appStatus is the exit status", nil, notOutside + "it is the program's own number"},
	{"F21a", "6.1", "STDOUT is closed by an empty record before END_REQUEST", stdoutClosed, ""},
	{"F21b", "6.1", "STDERR is not sent at all, or closed by an empty record", stderrClosed, ""},
	{"F22a", "5.1", "without KEEP_CONN the connection is closed after the answer", closesAfterEnd, ""},
	{"F22b", "5.1", "with KEEP_CONN it stays open, and takes further requests", keepsOpen, ""},
	{"F23", "3.3", "a long answer is split to records of at most 65535 bytes", bigRecords, ""},
	{"F24a", "3.3", "requests may go through one connection by turns", interleaved, ""},
	{"F24b", "3.3", "a body that is not complete does not stop another request", bodyOutstanding, ""},
	{"F24c", "3.3", "a body of 1 MiB that is not complete does not stop another request", largeBodyOutstanding, ""},
	{"F25", "3.5", "a web server that leaves in the middle of a request harms no other", lostConnection, ""},
	{"F26", "2.2", "the listening socket is descriptor 0", nil, notOutside + "the descriptors are the process's"},
	{"F27", "3.2", "FCGI_WEB_SERVER_ADDRS bounds who may connect", nil, notOutside + "the environment is the process's"},
	{"F28", "6.2", "the answer of a Responder is a CGI response, without an HTTP status line", cgiResponse, ""},
	{"F29", "6.3", "an Authorizer, which gets no body, answers by a CGI response", authorizer, ""},
	{"F30", "6.3", "Variable-NAME becomes a variable of later requests", nil, webServer},
	{"F31", "6.4", "a Filter, which gets DATA after STDIN, answers by a CGI response", filter, ""},
	{"F32", "7", "SIGTERM ends the process, with status 0", nil, notOutside + "signals are sent to the process"},

	{"P1a", "", "the id of a request is that of its answer, whatever it is", idsEchoed, ""},
	{"P1b", "", "the ids on a connection may grow (HAProxy)", idsGrow, ""},
	{"P3", "", "the first STDOUT record is not empty (nginx: 502)", firstNotEmpty, ""},
	{"P6", "", "a body of 1 MiB costs no byte of the answer when the connection is closed after it", bodyThenClose, ""},
	{"P7", "", "with KEEP_CONN another request may follow a body of 1 MiB, read or not", bodyThenRequest, ""},
	{"P8", "", "a body of 1 MiB may come whole before the answer is read", bodyFirst, ""},
	{"P10", "", "PARAMS may have 24 KiB, split between pairs (Apache)", manyParams, ""},
	{"P11a", "", "a variable with an empty name harms nobody", emptyName, ""},
	{"P11b", "", "a variable whose name has an equals sign harms nobody", equalsName, ""},
	{"P14a", "", "a body may come without CONTENT_LENGTH (Apache, chunked)", missingLength, ""},
	{"P14b", "", "a body may come with an empty CONTENT_LENGTH (nginx, unbuffered)", emptyLength, ""},
	{"P16", "", "a connection that is kept and idle does not occupy the endpoint", heldConnection, ""},

	{"C1", "", "a body may come with a CONTENT_LENGTH of 0 (nginx, unbuffered)", zeroLength, ""},
	{"C2", "", "a body may come with a CONTENT_LENGTH of -1 (Caddy, chunked)", negativeLength, ""},
	{"C3", "RFC 3875 § 4.3.3", "the answer to HEAD has no body (HAProxy: 502)", headWithoutBody, ""},
	{"C4", "", "a value with a NUL byte is refused or passed, and harms nobody (HAProxy, Caddy)", nulValue, ""},
	{"C5", "", "names that are no meta-variables may come (Apache), as may HTTP_PROXY", otherNames, ""},
}
