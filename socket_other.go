//go:build !unix

package gatehouse

// socketAttrs returns nothing: such a socket has no mode here.
func socketAttrs(string) []any { return nil }
