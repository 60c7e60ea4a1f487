package main

import (
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// smallest is what a part has at least, but for the last.
const smallest = 5 << 20

// uploads are the ones that are under way: an object appears when its parts are joined, and not before.
type uploads struct {
	sync.Mutex
	open map[string]*upload
}

type upload struct {
	sync.Mutex
	parts map[int]part
}

type part struct {
	etag    string
	content []byte
}

func (u *uploads) find(w http.ResponseWriter, id string) *upload {
	u.Lock()
	defer u.Unlock()
	found := u.open[id]
	if found == nil {
		(&refusal{http.StatusNotFound, "NoSuchUpload", "the upload is over, or never began"}).write(w)
	}
	return found
}

func (u *uploads) forget(id string) {
	u.Lock()
	defer u.Unlock()
	delete(u.open, id)
}

func (s *server) begin(w http.ResponseWriter, bucket, object string) {
	id := rand.Text()
	s.uploads.Lock()
	s.uploads.open[id] = &upload{parts: map[int]part{}}
	s.uploads.Unlock()
	write(w, struct {
		XMLName  xml.Name `xml:"InitiateMultipartUploadResult"`
		Bucket   string
		Key      string
		UploadId string
	}{Bucket: bucket, Key: object, UploadId: id})
}

func (s *server) takePart(w http.ResponseWriter, r *http.Request, query url.Values) {
	found := s.uploads.find(w, query.Get("uploadId"))
	if found == nil {
		return
	}
	number, err := strconv.Atoi(query.Get("partNumber"))
	if err != nil || number < 1 || number > 10_000 {
		(&refusal{http.StatusBadRequest, "InvalidArgument", "partNumber"}).write(w)
		return
	}
	content, err := io.ReadAll(r.Body)
	if err != nil {
		return // whoever sent it is gone
	}
	digest := md5.Sum(content)
	etag := strconv.Quote(hex.EncodeToString(digest[:]))
	found.Lock()
	found.parts[number] = part{etag, content}
	found.Unlock()
	w.Header().Set("ETag", etag)
}

func (s *server) join(w http.ResponseWriter, r *http.Request, bucket, object, id string) {
	found := s.uploads.find(w, id)
	if found == nil {
		return
	}
	var asked struct {
		Parts []struct {
			Number int    `xml:"PartNumber"`
			ETag   string `xml:"ETag"`
		} `xml:"Part"`
	}
	if err := xml.NewDecoder(r.Body).Decode(&asked); err != nil {
		(&refusal{http.StatusBadRequest, "MalformedCompleteMultipartUploadRequest", err.Error()}).write(w)
		return
	}
	found.Lock()
	defer found.Unlock()
	var whole [][]byte
	for index, each := range asked.Parts {
		known, there := found.parts[each.Number]
		if !there || strings.Trim(known.etag, `"`) != strings.Trim(each.ETag, `"`) {
			(&refusal{http.StatusBadRequest, "InvalidPart", "a part is not there, or another"}).write(w)
			return
		}
		if index > 0 && asked.Parts[index-1].Number >= each.Number {
			(&refusal{http.StatusBadRequest, "InvalidPartOrder", "parts come in order"}).write(w)
			return
		}
		if len(known.content) < smallest && index < len(asked.Parts)-1 {
			(&refusal{http.StatusBadRequest, "EntityTooSmall", "a part is too small"}).write(w)
			return
		}
		whole = append(whole, known.content)
	}
	if !s.store(w, bucket, object, slices.Concat(whole...), r.Header) {
		return
	}
	s.uploads.forget(id)
	write(w, struct {
		XMLName xml.Name `xml:"CompleteMultipartUploadResult"`
		Bucket  string
		Key     string
		ETag    string
	}{Bucket: bucket, Key: object, ETag: w.Header().Get("ETag")})
}

func (s *server) giveUp(w http.ResponseWriter, id string) {
	if s.uploads.find(w, id) == nil {
		return
	}
	s.uploads.forget(id)
	w.WriteHeader(http.StatusNoContent)
}
