// A server of Google Cloud Storage for tests: fake-gcs-server, which keeps objects and serves them, behind
// what it lacks of the XML API, by which the object store library speaks. Whoever asks must show what Google
// asks for: a token that the service account signed, or a URL that it signed.
//
// Run as: gcs_server HOST ACCOUNT, with ACCOUNT a service account's file. Says its address on standard output.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/fsouza/fake-gcs-server/fakestorage"
)

// knownBy is the name of the service, which signatures cover whatever the server is called here.
const knownBy = "storage.googleapis.com"

type server struct {
	fake    *fakestorage.Server
	account *account
	uploads uploads
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: gcs_server HOST ACCOUNT")
	}
	who, err := readAccount(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	fake, err := fakestorage.NewServerWithOptions(fakestorage.Options{NoListener: true, PublicHost: knownBy})
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(os.Args[1], "0"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	served := &server{fake: fake, account: who, uploads: uploads{open: map[string]*upload{}}}
	log.Fatal(http.Serve(listener, served))
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/storage/v1/") {
		s.fake.HTTPHandler().ServeHTTP(w, r) // the JSON API, by which tests make buckets
		return
	}
	if refused := s.account.admits(r); refused != nil {
		refused.write(w)
		return
	}
	bucket, object, err := place(r)
	if err != nil {
		(&refusal{http.StatusBadRequest, "InvalidURI", err.Error()}).write(w)
		return
	}
	query := r.URL.Query()
	r.Host = knownBy
	switch {
	case object == "" && r.Method == http.MethodGet:
		s.list(w, bucket, query)
	case r.Method == http.MethodPost && query.Has("uploads"):
		s.begin(w, bucket, object)
	case r.Method == http.MethodPut && query.Has("uploadId"):
		s.takePart(w, r, query)
	case r.Method == http.MethodPost && query.Has("uploadId"):
		s.join(w, r, bucket, object, query.Get("uploadId"))
	case r.Method == http.MethodDelete && query.Has("uploadId"):
		s.giveUp(w, query.Get("uploadId"))
	case r.Method == http.MethodPut:
		s.put(w, r, bucket, object)
	case r.Method == http.MethodDelete:
		s.remove(w, r)
	default:
		s.get(w, r)
	}
}
