package cgi_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"

	"gatehouse/cgi"
)

// An application that finds its parts by the segments of the path.
func ExampleShiftPathInfo() {
	show := func(what string) cgi.AppFunc {
		return func(w cgi.ResponseWriter, r *cgi.Request) error {
			if err := w.StartResponse("200 OK", nil); err != nil {
				return err
			}
			_, err := fmt.Fprintf(w, "%s at %q, asked for %q", what, r.Env.Get("SCRIPT_NAME"), r.Env.Get("PATH_INFO"))
			return err
		}
	}
	parts := map[string]cgi.App{"": show("index"), "wiki": show("wiki")}
	site := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		name, _ := cgi.ShiftPathInfo(r.Env)
		part := parts[name]
		if part == nil {
			return &cgi.StatusError{Code: http.StatusNotFound}
		}
		return part.ServeCGI(w, r)
	})
	h := cgi.ToHTTP(site)
	get(h, "/")
	get(h, "/wiki/Main_Page")
	get(h, "/wiki/")
	// Output:
	// 200 index at "/", asked for ""
	// 200 wiki at "/wiki", asked for "/Main_Page"
	// 200 wiki at "/wiki", asked for "/"
}

func ExampleRequestURI() {
	env := cgi.NewEnviron("HTTPS=on", "SERVER_NAME=example.org", "SERVER_PORT=8443",
		"SCRIPT_NAME=/cgi-bin/wiki", "PATH_INFO=/Main Page;v=2", "QUERY_STRING=say=ni")
	for _, includeQuery := range []bool{true, false} {
		uri, err := cgi.RequestURI(env, includeQuery)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(uri)
	}
	// Output:
	// https://example.org:8443/cgi-bin/wiki/Main%20Page;v=2?say=ni
	// https://example.org:8443/cgi-bin/wiki/Main%20Page;v=2
}

func ExampleApplicationURI() {
	env := cgi.NewEnviron("HTTP_HOST=example.org", "SCRIPT_NAME=/wiki")
	uri, err := cgi.ApplicationURI(env)
	fmt.Println(uri, err)

	env.Del("HTTP_HOST")
	_, err = cgi.ApplicationURI(env)
	var missing *cgi.MissingVarError
	if errors.As(err, &missing) {
		fmt.Println(missing.Name, "is missing")
	}
	// Output:
	// http://example.org/wiki <nil>
	// SERVER_NAME is missing
}

// A web server in front that ends TLS and sends no HTTPS.
func ExampleEnviron_SetScheme() {
	env := cgi.NewEnviron("HTTP_HOST=example.org", "REQUEST_SCHEME=https")
	if env.IsHTTPS() {
		env.SetScheme("https")
	}
	uri, err := cgi.ApplicationURI(env)
	fmt.Println(uri, err)
	// Output: https://example.org/ <nil>
}

func ExampleFile() {
	f := &cgi.File{R: strings.NewReader("what would be an open file"), BlockSize: 10}
	defer f.Close()
	for {
		block, err := f.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%q\n", block)
	}
	// Output:
	// "what would"
	// " be an ope"
	// "n file"
}

func ExampleFile_WriteTo() {
	get(cgi.ToHTTP(cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		f := &cgi.File{R: strings.NewReader("what would be an open file")}
		defer f.Close()
		if err := w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Type", Value: "text/plain"}}); err != nil {
			return err
		}
		_, err := f.WriteTo(w)
		return err
	})), "/")
	// Output: 200 what would be an open file
}

func ExampleHeaders_Add() {
	var h cgi.Headers
	err := h.Add("Content-Disposition", "attachment",
		cgi.Param{Name: "filename", Value: `say "ni".txt`}, cgi.Param{Name: "read_only"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(h.Get("Content-Disposition"))
	// Output: attachment; filename="say \"ni\".txt"; read-only
}

// The list is that of RFC 2616, as wsgiref has it: "Trailers", which is no field, is in
// it, and "Trailer" is not. What a Handler removes from answers are both.
func ExampleIsHopByHop() {
	for _, name := range []string{"Connection", "TRANSFER-ENCODING", "Trailers", "Trailer", "Date"} {
		fmt.Println(name, cgi.IsHopByHop(name))
	}
	// Output:
	// Connection true
	// TRANSFER-ENCODING true
	// Trailers true
	// Trailer false
	// Date false
}
