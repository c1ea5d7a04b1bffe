// What the tests of net/http/cgi use of its unexported names.
package cgi

import "strings"

// envMap returns the variables of an environment by their names.
func envMap(environ []string) map[string]string {
	vars := make(map[string]string)
	for _, v := range environ {
		name, value, _ := strings.Cut(v, "=")
		vars[name] = value
	}
	return vars
}
