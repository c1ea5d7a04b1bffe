// Package conform tests the application's side of FastCGI 1.0, from outside and
// clause by clause: what h2spec is for HTTP/2. It speaks to any endpoint, whatever
// serves it.
//
//	t := conform.Target{Network: "unix", Address: "/run/app.sock"}
//	report, err := t.Run(ctx)
//	if err != nil {
//		…	// not reached
//	}
//	report.WriteTable(os.Stdout, false)
//
// # What a clause needs
//
// A plain GET that is answered; where the endpoint runs programs, Target.Params says
// which one. Of the answer nothing is expected but that it is a CGI response. A clause
// that says "the same" wants the status code that the plain request had, because an
// endpoint that lost a variable or a part of the body mostly shows it there. A clause
// that cannot be observed is not applicable, and says why. If the plain request is not
// answered, F20a fails and all others are not applicable.
//
// The ids that begin with F are rules of the specification, or what follows from them
// where it is silent; those with P are what web servers rely on beyond it, and those
// with C what captures of web servers show that they send.
//
// # Limits
//
// Each check has connections of its own, one after the other, and
// [Target.Timeout] for all it does. Of what the endpoint sends, a check reads at most
// 16 MiB, and keeps at most 64 KiB for each of at most 16 request ids. A run takes at
// most Timeout for each clause, and three times more before the first.
//
// # JSON
//
// A [Report] is written as one object:
//
//	address         string, what was tested
//	passed          number of clauses that hold
//	failed          number of those that do not
//	not_applicable  number of those that could not be observed
//	results         array, in the order of the ids, of objects:
//	  id            string, such as "F1b"; an id keeps its meaning
//	  section       string, where the clause stands: "3.3" of FastCGI 1.0, "RFC 3875
//	                § 4.3.3", or "" for what web servers rely on
//	  clause        string, what is demanded; its words may change
//	  outcome       "pass", "fail" or "not applicable"
//	  seen          string, what was seen, or why nothing could be
//
// Fields may be added, and none is ever absent.
package conform
