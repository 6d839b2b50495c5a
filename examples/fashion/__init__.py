"""Ten kinds of clothing from small pictures: 10,000 Fashion-MNIST images, silhouette LFs, baskets."""
