// Package sale has a sale as JSON, as the API sends it and as it is in Kafka.
package sale

// Sale is one sale.
type Sale struct {
	Category  string  `json:"categoria"`
	ProductID string  `json:"producto_id"`
	Price     float64 `json:"precio"`
	Quantity  int32   `json:"cantidad_vendida"`
}
