//go:build linux

package script

import (
	"testing"

	"gatehouse/cgi"
)

// TestAuthorizer: a program learns the role that it plays, and that it has no body,
// whatever the length of the request that it is asked about.
func TestAuthorizer(t *testing.T) {
	f := newFixture(t)
	f.link(t, "report", "report")
	r := request("/report", "CONTENT_LENGTH=500")
	r.Role = cgi.Authorizer
	env := vars(t, report(t, f, r))
	if env["FCGI_ROLE"] != "AUTHORIZER" || env["CONTENT_LENGTH"] != "0" {
		t.Errorf("FCGI_ROLE %q, CONTENT_LENGTH %q", env["FCGI_ROLE"], env["CONTENT_LENGTH"])
	}
	if v, ok := vars(t, report(t, f, request("/report")))["FCGI_ROLE"]; ok {
		t.Errorf("a responder has FCGI_ROLE %q", v)
	}
}

func TestNoFilter(t *testing.T) {
	f := newFixture(t)
	f.link(t, "report", "report")
	r := request("/report")
	r.Role = cgi.Filter
	_, res := f.serve(r)
	checkRefused(t, res, 500, "cannot be a filter")
}
