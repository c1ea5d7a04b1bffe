// Package conform tests the application side of FastCGI 1.0 from outside, clause by
// clause, as h2spec does for HTTP/2. It works with any endpoint, whatever serves it.
//
//	t := conform.Target{Network: "unix", Address: "/run/app.sock"}
//	report, err := t.Run(ctx)
//	if err != nil {
//		…	// no connection
//	}
//	report.WriteTable(os.Stdout, false)
//
// # What a clause needs
//
// A plain GET must get a CGI response; nothing else is expected of it. If the endpoint
// runs programs, Target.Params names one. Most clauses then vary the request and require
// the same status code, because an endpoint that loses a variable or part of the body
// usually shows it there. A clause that cannot be observed is not applicable, and the
// result says why. If the plain request gets no response, F20a fails and all other
// clauses are not applicable.
//
// Clauses whose ids begin with F are rules of the specification, or follow from them
// where it is silent. P clauses are what web servers rely on beyond it, and C clauses
// are what web servers were captured sending.
//
// # Limits
//
// Each check opens its own connections and has [Target.Timeout] for everything it does.
// A check reads at most 16 MiB, and keeps at most 64 KiB for each of at most 16 request
// ids. A run takes at most Timeout for each clause, and three times Timeout before the
// first.
//
// # JSON
//
// A [Report] is written as one object:
//
//	address         string, what was tested
//	passed          number of clauses that hold
//	failed          number of clauses that do not hold
//	not_applicable  number of clauses that could not be observed
//	results         array of objects, in the order of the ids:
//	  id            string, such as "F1b"; ids are stable
//	  section       string, the source of the clause: "3.3" for FastCGI 1.0 § 3.3, "RFC
//	                3875 § 4.3.3", or "" for what web servers rely on
//	  clause        string, the requirement; its wording may change
//	  outcome       "pass", "fail" or "not applicable"
//	  seen          string, what was seen, or why nothing could be
//
// All fields are always present. Later versions may add others.
package conform
