package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"

	"github.com/fsouza/fake-gcs-server/fakestorage"
)

// place gives the bucket and the object that a URL names.
func place(r *http.Request) (string, string, error) {
	bucket, object, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	bucket, err := url.PathUnescape(bucket)
	if err != nil {
		return "", "", err
	}
	object, err = url.PathUnescape(object)
	return bucket, object, err
}

// put stores an object, as the service would: only if its generation is the one asked for.
func (s *server) put(w http.ResponseWriter, r *http.Request, bucket, object string) {
	if r.ContentLength < 0 {
		(&refusal{http.StatusLengthRequired, "MissingContentLength", "there must be a length"}).write(w)
		return
	}
	content, err := io.ReadAll(r.Body)
	if err != nil {
		return // whoever sent it is gone
	}
	s.store(w, bucket, object, content, r.Header)
}

// store hands content to fake-gcs-server by the JSON API, and answers as the XML API does.
func (s *server) store(w http.ResponseWriter, bucket, object string, content []byte, from http.Header) bool {
	query := url.Values{"uploadType": {"media"}, "name": {object}}
	if generation := from.Get("x-goog-if-generation-match"); generation != "" {
		query.Set("ifGenerationMatch", generation)
	}
	target := "/upload/storage/v1/b/" + url.PathEscape(bucket) + "/o?" + query.Encode()
	asked := httptest.NewRequest(http.MethodPost, target, bytes.NewReader(content))
	asked.Header.Set("Content-Type", from.Get("Content-Type"))
	answer := httptest.NewRecorder()
	s.fake.HTTPHandler().ServeHTTP(answer, asked)
	if answer.Code == http.StatusPreconditionFailed {
		(&refusal{answer.Code, "PreconditionFailed", "it has another generation"}).write(w)
		return false
	}
	if answer.Code >= 300 {
		(&refusal{answer.Code, "NoSuchBucket", answer.Body.String()}).write(w)
		return false
	}
	var made struct {
		Etag       string `json:"etag"`
		Generation string `json:"generation"`
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &made); err != nil {
		(&refusal{http.StatusInternalServerError, "InternalError", err.Error()}).write(w)
		return false
	}
	w.Header().Set("ETag", strconv.Quote(strings.Trim(made.Etag, `"`)))
	w.Header().Set("x-goog-generation", made.Generation)
	return true
}

func (s *server) remove(w http.ResponseWriter, r *http.Request) {
	answer := httptest.NewRecorder()
	s.fake.HTTPHandler().ServeHTTP(answer, r)
	if answer.Code == http.StatusNotFound {
		(&refusal{http.StatusNotFound, "NoSuchKey", "the specified key does not exist"}).write(w)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *server) get(w http.ResponseWriter, r *http.Request) {
	s.fake.HTTPHandler().ServeHTTP(w, r)
}

// list answers with a page of objects, in the order of their names.
func (s *server) list(w http.ResponseWriter, bucket string, query url.Values) {
	most, after, token := 1000, query.Get("start-after"), query.Get("continuation-token")
	if asked, err := strconv.Atoi(query.Get("max-keys")); err == nil && asked < most {
		most = asked
	}
	found, err := s.fake.ListObjectsWithOptionsPaginated(bucket, fakestorage.ListOptions{
		Prefix: query.Get("prefix"), StartOffset: max(after, token),
	})
	if err != nil {
		(&refusal{http.StatusNotFound, "NoSuchBucket", err.Error()}).write(w)
		return
	}
	type object struct {
		Key          string
		LastModified string
		ETag         string
		Size         int64
		Generation   int64
	}
	told := struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		Name                  string
		Prefix                string
		KeyCount              int
		IsTruncated           bool
		NextContinuationToken string `xml:",omitempty"`
		Contents              []object
	}{Name: bucket, Prefix: query.Get("prefix")}
	for _, each := range found.Objects {
		if each.Name == after {
			continue // where it starts is told by what comes before
		}
		if len(told.Contents) == most {
			told.IsTruncated, told.NextContinuationToken = true, each.Name
			break
		}
		changed := each.Updated.UTC().Format("2006-01-02T15:04:05.000Z")
		told.Contents = append(told.Contents, object{
			each.Name, changed, strconv.Quote(strings.Trim(each.Etag, `"`)), each.Size, each.Generation,
		})
	}
	told.KeyCount = len(told.Contents)
	write(w, told)
}

func write(w http.ResponseWriter, told any) {
	w.Header().Set("Content-Type", "application/xml; charset=UTF-8")
	fmt.Fprint(w, xml.Header)
	_ = xml.NewEncoder(w).Encode(told)
}
