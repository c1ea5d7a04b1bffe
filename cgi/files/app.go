// Package files is the application that serves the files of a directory.
//
// It is there for what belongs to an application: its style sheets, its pictures, its
// downloads. A web server that can reach the directory itself serves it better.
//
// Types, conditional requests and byte ranges are those of net/http
// ([http.ServeContent]).
//
// # What is served
//
// The file is found by the path below the mount point ([cgi.Request.Mounted]), or by
// PATH_INFO where there is none. A path to a directory is redirected to one with a
// slash at its end, and gets the directory's index.html; there are no listings. GET
// and HEAD are served, other methods get a 405.
//
// Nothing outside the directory is served ([os.Root]). A symbolic link is followed as
// long as it stays inside; one that leaves it, or whose target is an absolute path, gets a
// 403, as does everything that exists but may not be read, or is not a regular file. A name
// that begins with a dot, anywhere in the path, gets a 404, unless App.Hidden is set.
//
// The path is the decoded one, and is taken as it is: ".." segments get a 403, empty and "."
// segments are left out.
package files

import (
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path"
	"strings"

	"gatehouse/cgi"
)

// index is the file that stands for a directory.
const index = "index.html"

// maxRanges is how many byte ranges are taken from one request. Of a field with more
// nothing is taken, and the whole file sent (RFC 9110 § 14.2): a range of one byte
// costs four bytes to ask for, and more than a hundred to send.
const maxRanges = 200

// An App serves the files of a directory. It may be used by many requests at once,
// and keeps nothing open between them, so that the directory may be replaced.
type App struct {
	// Dir is the directory. It may be reached by a symbolic link.
	Dir string

	// Hidden lets files be served whose names, or whose directories' names, begin with a
	// dot, such as /.well-known/.
	Hidden bool
}

// ServeCGI implements [cgi.App]. Its errors are [cgi.StatusError]s of code 400, 403
// and 404 for what the client asks for, and others for what is wrong with the
// directory.
func (a *App) ServeCGI(w cgi.ResponseWriter, r *cgi.Request) error {
	switch r.Env.Get("REQUEST_METHOD") {
	case http.MethodGet, http.MethodHead:
	default:
		return refuseMethod(w)
	}
	var err error
	serve := func(hw http.ResponseWriter, hr *http.Request) { err = a.serve(hw, hr, below(r, hr)) }
	// An error of serve comes before anything is written.
	if herr := cgi.FromHTTP(http.HandlerFunc(serve)).ServeCGI(w, r); err == nil {
		err = herr
	}
	return err
}

// Check returns what is wrong with the directory, or nil: it must exist, be a
// directory, and be readable and searchable for this process.
func (a *App) Check() error {
	root, err := a.openRoot()
	if err != nil {
		return err
	}
	defer root.Close()
	// Whether it can be searched shows only when something is looked for in it.
	if _, err := root.Lstat(index); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("directory %s: %w", a.Dir, bare(err))
	}
	return nil
}

// refuseMethod responds with 405.
func refuseMethod(w cgi.ResponseWriter) error {
	err := w.StartResponse("405 Method Not Allowed", []cgi.Field{
		{Name: "Allow", Value: "GET, HEAD"},
		{Name: "Content-Type", Value: "text/plain"},
	})
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, "405 Method Not Allowed\n")
	return err
}

// below returns the path below the mount point.
func below(r *cgi.Request, hr *http.Request) string {
	if _, rest, ok := r.Mounted(); ok {
		return rest
	}
	return strings.TrimPrefix(hr.URL.Path, cgi.ScriptName(hr))
}

// serve responds with the file at p.
func (a *App) serve(w http.ResponseWriter, r *http.Request, p string) error {
	name, err := a.fileName(p)
	if err != nil {
		return err
	}
	slash := strings.HasSuffix(r.URL.Path, "/") || strings.HasSuffix(r.URL.Path, "/.")
	f, err := a.open(name, slash)
	if err != nil {
		return err
	}
	if f == nil {
		redirect(w, r)
		return nil
	}
	defer f.Close()
	contentType, err := f.contentType()
	if err != nil {
		return err
	}
	if strings.Count(r.Header.Get("Range"), ",") >= maxRanges {
		r.Header.Del("Range")
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Etag", etag(f.info))
	http.ServeContent(w, r, "", f.info.ModTime(), f)
	return nil
}

// redirect sends the client to its path with a slash at the end. The reference is
// relative: so it is right whatever the web server in front did to the path, and
// never leads to another host.
func redirect(w http.ResponseWriter, r *http.Request) {
	to := "./" + path.Base(r.URL.EscapedPath()) + "/" // escaped as it came: "%2f" is no new segment
	if query := printable(r.URL.RawQuery); query != "" {
		to += "?" + query
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusMovedPermanently)
}

// printable escapes what may not stand in a header field.
func printable(query string) string {
	var b strings.Builder
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c >= 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// etag returns an entity tag that changes with the file (RFC 9110 § 8.8.3).
func etag(info fs.FileInfo) string {
	return fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size())
}

// contentType returns the type that the file's name tells. If it tells none, the file
// is plain text or mere bytes, as its beginning looks; it never becomes a page that
// runs scripts because of what is in it.
func (f *file) contentType() (string, error) {
	if t := mime.TypeByExtension(path.Ext(f.info.Name())); t != "" {
		return t, nil
	}
	var buf [512]byte
	n, err := f.ReadAt(buf[:], 0)
	if err != nil && err != io.EOF {
		return "", err
	}
	switch t := http.DetectContentType(buf[:n]); {
	case strings.HasPrefix(t, "text/plain"):
		return t, nil
	case strings.HasPrefix(t, "text/"):
		return "text/plain; charset=utf-8", nil
	}
	return "application/octet-stream", nil
}
