package iis

import (
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"gatehouse/internal/forwarded"
)

// The environment variables of the modules that start a process and pass requests on to it
// over HTTP.
const (
	platformPort = "HTTP_PLATFORM_PORT"   // of HttpPlatformHandler
	corePort     = "ASPNETCORE_PORT"      // of the ASP.NET Core Module, as are the others
	corePath     = "ASPNETCORE_APPL_PATH" // of the application in IIS, such as "/" or "/shop"

	// TokenVariable holds what shows that a request comes from the ASP.NET Core Module.
	// Whoever calls FindModule removes it from the environment, so that no child has it.
	TokenVariable = "ASPNETCORE_TOKEN"
)

// A Module is an HTTP module of IIS that has started this process: HttpPlatformHandler, or
// the ASP.NET Core Module outside of IIS's own process (hostingModel="outofprocess"). It
// passes requests on to a port of loopback.
type Module struct {
	Port uint16 // of 127.0.0.1, where the module connects to

	token string // of every request; empty: the module has none
	path  string // of the application, without a slash at its end
}

// Errors of Admit.
var (
	// ErrNotThroughIIS means that a request has not the token of the module: another
	// process of this machine has sent it.
	ErrNotThroughIIS = errors.New("the request did not come through IIS: it has not the token that IIS gave this process")

	// ErrShutdown means that the module asks the process to end.
	ErrShutdown = errors.New("IIS asks this process to end")
)

// FindModule returns the module that has started this process, or nil. If lookup is nil,
// os.LookupEnv is used. The error is that of a port that is none.
func FindModule(lookup func(string) (string, bool)) (*Module, error) {
	if lookup == nil {
		lookup = os.LookupEnv
	}
	for _, name := range []string{corePort, platformPort} {
		port, _ := lookup(name)
		if port == "" {
			continue
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return nil, fmt.Errorf("%s is %.100q: it must be a port, a number from 1 to 65535", name, port)
		}
		m := &Module{Port: uint16(n)}
		if name == corePort {
			m.token, _ = lookup(TokenVariable)
			path, _ := lookup(corePath)
			m.path = strings.TrimRight(path, "/")
		}
		return m, nil
	}
	return nil, nil
}

// Address returns where the module connects to.
func (m *Module) Address() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(m.Port)))
}

// HasToken reports whether requests must have a token, so that those of other processes are
// refused.
func (m *Module) HasToken() bool { return m.token != "" }

// Admit returns the request as an application is to see it. The header fields that begin
// with MS-ASPNETCORE, which the module removes from what a client sends, are for this
// process: of them only the client's certificate (MS-ASPNETCORE-CLIENTCERT) stays.
//
// With a token, r is from the module, and so X-Forwarded-For and X-Forwarded-Proto end with
// what the module knows of the client. They become RemoteAddr and TLS. Without one, they
// may be the client's, and only stay as they are.
//
// The error is ErrNotThroughIIS, or ErrShutdown for a POST of /iisintegration with the
// event "shutdown".
func (m *Module) Admit(r *http.Request) (*http.Request, error) {
	if m.token == "" {
		return r, nil
	}
	tokens := r.Header.Values("Ms-Aspnetcore-Token")
	if len(tokens) != 1 || subtle.ConstantTimeCompare([]byte(tokens[0]), []byte(m.token)) != 1 {
		return nil, ErrNotThroughIIS
	}
	// The module sets the event only for its own request, which has no X-Forwarded-For.
	if r.Method == http.MethodPost && r.URL.Path == m.path+"/iisintegration" &&
		strings.EqualFold(r.Header.Get("Ms-Aspnetcore-Event"), "shutdown") && r.Header.Get("X-Forwarded-For") == "" {
		return nil, ErrShutdown
	}
	admitted := r.WithContext(r.Context())
	admitted.Header = r.Header.Clone()
	for name := range admitted.Header {
		if strings.HasPrefix(name, "Ms-Aspnetcore") && name != "Ms-Aspnetcore-Clientcert" {
			delete(admitted.Header, name)
		}
	}
	// Nobody else is trusted, so that what the module itself has added counts. Fields of one kind
	// do not disagree.
	origin, _ := forwarded.Proxies{}.Origin(http.Header{
		forwarded.For: r.Header[forwarded.For], forwarded.Proto: r.Header[forwarded.Proto]})
	if origin.Client.IsValid() {
		admitted.RemoteAddr = netip.AddrPortFrom(origin.Client, origin.Port).String()
	}
	if origin.Scheme == "https" && r.TLS == nil {
		admitted.TLS = new(tls.ConnectionState) // of which IIS knows more
	}
	return admitted, nil
}
