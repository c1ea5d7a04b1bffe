package iis

import (
	"strings"

	"gatehouse/cgi"
)

// CleanVariables makes the variables that IIS sends those of RFC 3875.
//
// IIS sends every variable that it knows, also where there is nothing to say
// (CONTENT_TYPE, AUTH_TYPE, REMOTE_USER, CERT_SUBJECT, …). An empty variable is
// removed, as RFC 3875 § 4.1 has it, unless it is one that may be empty and has a
// meaning then: QUERY_STRING (§ 4.1.7), SCRIPT_NAME (§ 4.1.13) and PATH_INFO
// (§ 4.1.5).
//
// Names are in capitals afterwards, since case makes no difference on Windows. Two that
// differ in case alone become one variable, in the way of [cgi.Environ.Add].
//
// HTTPS is removed if it is "off", since many an application only asks whether it is
// set, and stays if another variable says otherwise: the word of HTTPS counts then. If
// IIS did not send it, SERVER_PORT_SECURE "1" sets it to "on".
func CleanVariables(env *cgi.Environ) {
	upperNames(env)
	var empty []string
	for name, value := range env.All() {
		if value == "" && !mayBeEmpty(name) {
			empty = append(empty, name)
		}
	}
	for _, name := range empty {
		env.Del(name)
	}
	secure := env.Get("SERVER_PORT_SECURE") == "1"
	switch https, set := env.Lookup("HTTPS"); {
	case !set && secure:
		env.Set("HTTPS", "on")
	case strings.EqualFold(https, "off") && !secure && !strings.EqualFold(env.Get("REQUEST_SCHEME"), "https"):
		env.Del("HTTPS")
	}
}

func mayBeEmpty(name string) bool {
	return name == "QUERY_STRING" || name == "SCRIPT_NAME" || name == "PATH_INFO"
}

// upperNames makes the names of the variables upper case.
func upperNames(env *cgi.Environ) {
	var others []string
	for name := range env.All() {
		if name != strings.ToUpper(name) {
			others = append(others, name)
		}
	}
	for _, name := range others {
		value := env.Get(name)
		env.Del(name)
		_ = env.Add(strings.ToUpper(name), value) // it has a name, and no NUL
	}
}
