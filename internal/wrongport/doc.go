// Package wrongport recognises peers that speak another protocol than the listener they have
// connected to, as when two addresses in a web server's configuration are mixed up, and
// responds to them in their own language, so that the mistake can be seen where it was made.
//
// It is for what cannot be decoded anyway: a front-end asks it once decoding the first bytes of
// a connection has failed.
package wrongport
